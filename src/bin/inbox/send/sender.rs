use std::error::Error;

use tower_inbox::{
    provider::{
        Signs, baseten::Baseten, bfl::Bfl, elevenlabs::ElevenLabs, extend::Extend, gemini::Gemini,
        llamacloud::LlamaCloud, mindee::Mindee, mindee_v1::MindeeV1, openai::OpenAi,
        reducto::Reducto, replicate::Replicate, rossum::Rossum, standard::Standard, vlmrun::VlmRun,
    },
    signature::{HeaderToken, QueryToken, Scheme, SecretSet},
};

use super::fal;
use crate::given::Given;

/// The scheme with what was given, or why it cannot be one.
type Made = Result<Box<dyn Scheme>, Box<dyn Error>>;

/// How a provider proves that it sends.
#[derive(Clone, Copy)]
enum Proves {
    /// It signs.
    Signing(fn(SecretSet) -> Box<dyn Scheme>),
    /// It signs with a private key.
    WithKey(fn(&Given) -> Made),
    /// It sends a token in a header, of which this is the usual name.
    InHeader(&'static str),
    /// It sends a token in a query parameter, of which this is the usual name.
    InQuery(&'static str),
}

use Proves::{InHeader, InQuery, Signing, WithKey};

/// In which header AssemblyAI sends a token is up to whoever asks it: the name that stands for it here.
const CHOSEN: &str = "x-webhook-secret";

const SENDERS: [(&str, Proves); 22] = [
    ("assemblyai", InHeader(CHOSEN)),
    ("baseten", Signing(scheme::<Baseten>)),
    ("bfl", Signing(scheme::<Bfl>)),
    ("deepgram", InHeader("dg-token")),
    ("deepinfra", InQuery("token")),
    ("elevenlabs", Signing(scheme::<ElevenLabs>)),
    ("extend", Signing(scheme::<Extend>)),
    ("fal", WithKey(fal::scheme)),
    ("foxyai", InQuery("token")),
    ("gemini", Signing(scheme::<Gemini>)),
    ("gladia", InQuery("token")),
    ("huggingface", InHeader("x-webhook-secret")),
    ("llamacloud", Signing(scheme::<LlamaCloud>)),
    ("mindee", Signing(scheme::<Mindee>)),
    ("mindee-v1", Signing(scheme::<MindeeV1>)),
    ("openai", Signing(scheme::<OpenAi>)),
    ("reducto", Signing(scheme::<Reducto>)),
    ("replicate", Signing(scheme::<Replicate>)),
    ("rossum", Signing(scheme::<Rossum>)),
    ("runpod", InQuery("token")),
    ("standard", Signing(scheme::<Standard>)),
    ("vlmrun", Signing(scheme::<VlmRun>)),
];

fn scheme<P: Signs>(secrets: SecretSet) -> Box<dyn Scheme> {
    Box::new(P::scheme(secrets))
}

/// The scheme of the provider that is to be played.
pub(super) fn named(provider: &str, token_name: Option<&str>, given: &Given) -> Made {
    let found = SENDERS.iter().find(|(name, _)| *name == provider);
    let (_, proves) = found.ok_or_else(|| {
        let names: Vec<_> = SENDERS.iter().map(|(name, _)| *name).collect();
        format!("there is no provider {provider:?}: say one of {}", names.join(", "))
    })?;
    let scheme = proves.with(token_name, given)?;
    scheme.check()?;
    Ok(scheme)
}

impl Proves {
    fn with(self, token_name: Option<&str>, given: &Given) -> Made {
        let secrets = || SecretSet::from(given.secret());
        Ok(match self {
            Signing(_) | WithKey(_) if token_name.is_some() => {
                return Err(
                    "this provider signs, and sends no token: leave out --token-name".into()
                );
            }
            Signing(scheme) => scheme(secrets()),
            WithKey(scheme) => scheme(given)?,
            InHeader(usual) => Box::new(HeaderToken::new(
                token_name.unwrap_or(usual).parse::<http::HeaderName>()?,
                secrets(),
            )),
            InQuery(usual) => Box::new(QueryToken::new(token_name.unwrap_or(usual), secrets())),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Request;
    use tower_inbox::provider::{deepgram, huggingface};

    use super::*;
    use crate::help;

    fn given(text: &str) -> Given {
        Given::new(text.as_ref())
    }

    #[test]
    fn every_sender_is_in_the_help_and_accepts_what_it_signs() {
        let help = help::of("send");
        for (name, _) in SENDERS {
            assert!(help.contains(name), "{name}");
            let Ok(scheme) = named(name, None, &secret_for(name)) else {
                assert!(name == "fal" && cfg!(not(feature = "ed25519")), "{name}");
                continue;
            };
            let now = SystemTime::now();
            let mut head = Request::post("/").body(()).unwrap().into_parts().0;
            scheme.signature("msg_1", b"{}", now).unwrap().add_to(&mut head).unwrap();
            assert!(scheme.verify(&head, b"{}", now).is_ok(), "{name}");
        }
    }

    fn secret_for(name: &str) -> Given {
        given(if name == "fal" {
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
        } else {
            "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"
        })
    }

    #[test]
    fn tokens_stand_in_the_headers_that_the_library_reads() {
        for (name, header) in [("deepgram", deepgram::TOKEN), ("huggingface", huggingface::SECRET)]
        {
            let scheme = named(name, None, &given("hunter2")).unwrap();
            let signature = scheme.signature("msg_1", b"{}", SystemTime::now()).unwrap();
            assert_eq!(signature.headers()[header], "hunter2");
        }
    }

    #[test]
    fn a_token_stands_where_it_is_wanted() {
        let signature = |provider, name| {
            let scheme = named(provider, Some(name), &given("hunter2"))?;
            Ok::<_, Box<dyn Error>>(scheme.signature("msg_1", b"{}", SystemTime::now())?)
        };
        assert_eq!(signature("foxyai", "ticket").unwrap().query(), Some(("ticket", "hunter2")));
        assert_eq!(signature("assemblyai", "X-Hook").unwrap().headers()["x-hook"], "hunter2");
        assert!(signature("assemblyai", "a b").is_err());
        assert!(signature("mindee", "x-hook").is_err());
    }
}
