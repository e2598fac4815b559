//! The providers as which requests can be signed.

use std::error::Error;

use clap::builder::PossibleValue;
use http::HeaderName;
use tower_inbox::{
    provider::ProviderScheme,
    signature::{HeaderToken, QueryToken, Scheme, SecretSet},
};

use super::signing::SecretArgument;

/// A scheme, or why the arguments do not make one.
pub(super) type SchemeResult = Result<Box<dyn Scheme>, Box<dyn Error>>;

/// The name of the generic scheme, which is configured by options.
pub(super) const HMAC: &str = "hmac";

/// How a provider authenticates its requests.
#[derive(Clone, Copy)]
enum Authentication {
    /// A signature with a secret.
    Signing(ProviderScheme),
    /// A signature with a private key.
    WithKey(fn(&SecretArgument) -> SchemeResult),
    /// A token in a header with this default name.
    InHeader(&'static str),
    /// A token in a query parameter with this default name.
    InQuery(&'static str),
}

use Authentication::{InHeader, InQuery, Signing, WithKey};

/// AssemblyAI's users choose the name of the header. This is the default of the command.
const ASSEMBLYAI_HEADER: &str = "x-webhook-secret";

/// The providers without a signature scheme that requires secrets only.
const OTHER: [(&str, Authentication); 8] = [
    ("assemblyai", InHeader(ASSEMBLYAI_HEADER)),
    ("deepgram", InHeader("dg-token")),
    ("deepinfra", InQuery("token")),
    ("fal", WithKey(fal_scheme)),
    ("foxyai", InQuery("token")),
    ("gladia", InQuery("token")),
    ("huggingface", InHeader("x-webhook-secret")),
    ("runpod", InQuery("token")),
];

/// All providers, sorted by name.
fn senders() -> Vec<(&'static str, Authentication)> {
    let signing = ProviderScheme::ALL.iter().map(|provider| (provider.name(), Signing(*provider)));
    let mut senders: Vec<_> = signing.chain(OTHER).collect();
    senders.sort_by_key(|(name, _)| *name);
    senders
}

/// The providers, with how each proves itself, for help and completion.
pub(super) fn provider_values() -> Vec<PossibleValue> {
    let value = |(name, authentication): (&'static str, Authentication)| {
        PossibleValue::new(name).help(match authentication {
            Signing(_) => "signature",
            WithKey(_) => "signature with a private key (requires feature ed25519)",
            InHeader(_) => "token in a header",
            InQuery(_) => "token in the query",
        })
    };
    let hmac = PossibleValue::new(HMAC).help("HMAC-SHA256 of the body in a header: see --header");
    senders().into_iter().map(value).chain([hmac]).collect()
}

/// The scheme of the provider with this name.
pub(super) fn named(
    provider: &str,
    token_name: Option<&str>,
    secret: &SecretArgument,
) -> SchemeResult {
    let found = senders().into_iter().find(|(name, _)| *name == provider);
    let (_, authentication) = found.ok_or_else(|| format!("unknown provider '{provider}'"))?;
    authentication.with(token_name, secret)
}

impl Authentication {
    fn with(self, token_name: Option<&str>, secret: &SecretArgument) -> SchemeResult {
        let secrets = || SecretSet::from(secret.secret());
        Ok(match self {
            Signing(_) | WithKey(_) if token_name.is_some() => {
                return Err("this provider signs and sends no token; remove --token-name".into());
            }
            Signing(provider) => provider.scheme(secrets()),
            WithKey(scheme) => scheme(secret)?,
            InHeader(default_name) => Box::new(HeaderToken::new(
                token_name.unwrap_or(default_name).parse::<HeaderName>()?,
                secrets(),
            )),
            InQuery(default_name) => {
                Box::new(QueryToken::new(token_name.unwrap_or(default_name), secrets()))
            }
        })
    }
}

/// fal's scheme with a private key: 64 hexadecimal digits, or base64 after `whsk_`.
#[cfg(feature = "ed25519")]
fn fal_scheme(secret: &SecretArgument) -> SchemeResult {
    use tower_inbox::{provider::fal, signature::Ed25519Key};
    use zeroize::Zeroizing;

    let text = secret.text();
    let key = if text.starts_with("whsk_") {
        Ed25519Key::from_whsk(text)
    } else {
        Ed25519Key::private(&Zeroizing::new(hex::decode(text).unwrap_or_default()))
    };
    let key = key.map_err(|_| {
        "--secret is not a private Ed25519 key; use its 32 bytes in hexadecimal, or in base64 after whsk_"
    })?;
    Ok(Box::new(fal::signature(key)))
}

#[cfg(not(feature = "ed25519"))]
fn fal_scheme(_: &SecretArgument) -> SchemeResult {
    Err("fal signs with an Ed25519 key, which this build does not support; install it with --features \
         cli,ed25519"
        .into())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Request;
    use tower_inbox::provider::{deepgram, huggingface};

    use super::*;

    fn secret(text: &str) -> SecretArgument {
        SecretArgument::from(text)
    }

    #[test]
    fn scheme_of_every_provider_verifies_its_own_signature() {
        for (name, _) in senders() {
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

    fn secret_for(name: &str) -> SecretArgument {
        secret(if name == "fal" {
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
        } else {
            "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"
        })
    }

    #[test]
    fn tokens_are_sent_in_the_headers_that_the_library_reads() {
        for (name, header) in [("deepgram", deepgram::TOKEN), ("huggingface", huggingface::SECRET)]
        {
            let scheme = named(name, None, &secret("hunter2")).unwrap();
            let signature = scheme.signature("msg_1", b"{}", SystemTime::now()).unwrap();
            assert_eq!(signature.headers()[header], "hunter2");
        }
    }

    #[test]
    fn token_name_is_used() {
        let signature = |provider, name| {
            let scheme = named(provider, Some(name), &secret("hunter2"))?;
            Ok::<_, Box<dyn Error>>(scheme.signature("msg_1", b"{}", SystemTime::now())?)
        };
        assert_eq!(signature("foxyai", "ticket").unwrap().query(), Some(("ticket", "hunter2")));
        assert_eq!(signature("assemblyai", "X-Hook").unwrap().headers()["x-hook"], "hunter2");
        assert!(signature("assemblyai", "a b").is_err());
        assert!(signature("mindee", "x-hook").is_err());
    }
}
