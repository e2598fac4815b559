use super::{
    SignedProvider, baseten::Baseten, bfl::Bfl, elevenlabs::ElevenLabs, extend::Extend,
    gemini::Gemini, llamacloud::LlamaCloud, mindee::Mindee, mindee_v1::MindeeV1, openai::OpenAi,
    recall::Recall, reducto::Reducto, replicate::Replicate, rossum::Rossum, standard::Standard,
    vlmrun::VlmRun,
};
use crate::signature::{Scheme, SecretSet};

/// The signature scheme of a provider, selected by its name: for command lines, configuration files and forms.
///
/// Contains the providers whose scheme requires secrets only. Not contained: fal, which signs with a private key, and
/// providers that send a token.
///
/// ```
/// use tower_inbox::{Secret, provider::ProviderScheme};
///
/// let provider = ProviderScheme::named("replicate").ok_or("unknown provider")?;
/// assert_eq!(provider.label(), "Replicate");
/// let scheme = provider.scheme(Secret::new("whsec_c2VjcmV0"));
/// # let _ = scheme;
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ProviderScheme {
    name: &'static str,
    label: &'static str,
    scheme: fn(SecretSet) -> Box<dyn Scheme>,
}

const ALL: [ProviderScheme; 15] = [
    of::<Mindee>("mindee", "Mindee"),
    of::<MindeeV1>("mindee-v1", "Mindee V1"),
    of::<Standard>("standard", "Standard Webhooks"),
    of::<Baseten>("baseten", "Baseten"),
    of::<Bfl>("bfl", "Black Forest Labs"),
    of::<ElevenLabs>("elevenlabs", "ElevenLabs"),
    of::<Extend>("extend", "Extend"),
    of::<Gemini>("gemini", "Gemini"),
    of::<LlamaCloud>("llamacloud", "LlamaCloud"),
    of::<OpenAi>("openai", "OpenAI"),
    of::<Recall>("recall", "Recall.ai"),
    of::<Reducto>("reducto", "Reducto"),
    of::<Replicate>("replicate", "Replicate"),
    of::<Rossum>("rossum", "Rossum"),
    of::<VlmRun>("vlmrun", "VLM Run"),
];

impl ProviderScheme {
    /// All of them, in the order in which a form lists them.
    pub const ALL: &[Self] = &ALL;

    /// Returns the scheme of the provider with this [name](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|provider| provider.name == name)
    }

    /// Returns the name, such as `mindee-v1`. It is that of `inbox send --as`.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Returns the name as the provider writes it, such as `Mindee V1`.
    pub fn label(self) -> &'static str {
        self.label
    }

    /// Creates the scheme with these secrets.
    pub fn scheme(self, secrets: impl Into<SecretSet>) -> Box<dyn Scheme> {
        (self.scheme)(secrets.into())
    }
}

const fn of<P: SignedProvider>(name: &'static str, label: &'static str) -> ProviderScheme {
    ProviderScheme { name, label, scheme: boxed::<P> }
}

fn boxed<P: SignedProvider>(secrets: SecretSet) -> Box<dyn Scheme> {
    Box::new(P::scheme(secrets))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_provider_that_signs_with_a_secret_is_contained_once() {
        let names: HashSet<_> = ProviderScheme::ALL.iter().map(|provider| provider.name).collect();
        assert_eq!(names.len(), ProviderScheme::ALL.len());
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider");
        assert_eq!(signing_providers(&directory), names.len());
        assert!(ProviderScheme::named("fal").is_none());
    }

    /// The number of implementations of `SignedProvider` below this directory.
    fn signing_providers(directory: &Path) -> usize {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let count = |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().filter(|line| line.starts_with("impl SignedProvider for ")).count()
        };
        let counts =
            entries.map(|path| if path.is_dir() { signing_providers(&path) } else { count(&path) });
        counts.sum()
    }
}
