//! The schemes by which a request can be checked.

use http::HeaderName;

use crate::{
    provider::{
        SignedProvider, baseten::Baseten, bfl::Bfl, elevenlabs::ElevenLabs, extend::Extend,
        gemini::Gemini, llamacloud::LlamaCloud, mindee::Mindee, mindee_v1::MindeeV1,
        openai::OpenAi, recall::Recall, reducto::Reducto, replicate::Replicate, rossum::Rossum,
        standard::Standard, vlmrun::VlmRun,
    },
    signature::{HeaderToken, HmacBody, QueryToken, Scheme, Secret, SecretSet, StandardWebhooks},
};

/// A choice of the form.
#[derive(Clone, Copy)]
pub(super) struct SchemeChoice {
    /// Its value in the form.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// A scheme that needs only a secret.
    Fixed(fn(SecretSet) -> Box<dyn Scheme>),
    /// HMAC-SHA256 of the body in a header, in hexadecimal digits.
    HmacBody,
    HeaderToken,
    QueryToken,
}

/// Why the fields of the form make no scheme.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::page) enum ChoiceError {
    #[error("there is no scheme '{0}'; select one of the list")]
    Unknown(String),
    #[error("this scheme needs the name of a header; set one such as x-signature")]
    Header,
    #[error("this scheme needs the name of a query parameter; set one such as token")]
    Parameter,
}

const fn fixed(
    name: &'static str,
    label: &'static str,
    scheme: fn(SecretSet) -> Box<dyn Scheme>,
) -> SchemeChoice {
    SchemeChoice { name, label, kind: Kind::Fixed(scheme) }
}

/// The choices of the form, in its order.
pub(super) const CHOICES: [SchemeChoice; 19] = [
    fixed("mindee", "Mindee", of::<Mindee>),
    fixed("mindee-v1", "Mindee V1", of::<MindeeV1>),
    fixed("standard", "Standard Webhooks", of::<Standard>),
    fixed("svix", "Svix", svix),
    fixed("baseten", "Baseten", of::<Baseten>),
    fixed("bfl", "Black Forest Labs", of::<Bfl>),
    fixed("elevenlabs", "ElevenLabs", of::<ElevenLabs>),
    fixed("extend", "Extend", of::<Extend>),
    fixed("gemini", "Gemini", of::<Gemini>),
    fixed("llamacloud", "LlamaCloud", of::<LlamaCloud>),
    fixed("openai", "OpenAI", of::<OpenAi>),
    fixed("recall", "Recall.ai", of::<Recall>),
    fixed("reducto", "Reducto", of::<Reducto>),
    fixed("replicate", "Replicate", of::<Replicate>),
    fixed("rossum", "Rossum", of::<Rossum>),
    fixed("vlmrun", "VLM Run", of::<VlmRun>),
    SchemeChoice { name: "hmac", label: "HMAC-SHA256 in a header", kind: Kind::HmacBody },
    SchemeChoice { name: "header", label: "Token in a header", kind: Kind::HeaderToken },
    SchemeChoice { name: "query", label: "Token in the query", kind: Kind::QueryToken },
];

fn of<P: SignedProvider>(secrets: SecretSet) -> Box<dyn Scheme> {
    Box::new(P::scheme(secrets))
}

fn svix(secrets: SecretSet) -> Box<dyn Scheme> {
    Box::new(StandardWebhooks::new(secrets).svix())
}

/// The scheme of a choice. `place` names the header or parameter of a generic scheme, and `prefix` is the text before a
/// signature.
pub(super) fn scheme(
    choice: &str,
    secret: Secret,
    place: &str,
    prefix: &str,
) -> Result<Box<dyn Scheme>, ChoiceError> {
    let found = CHOICES.iter().find(|known| known.name == choice);
    let found = found.ok_or_else(|| ChoiceError::Unknown(choice.to_owned()))?;
    let header = || place.parse::<HeaderName>().map_err(|_| ChoiceError::Header);
    Ok(match found.kind {
        Kind::Fixed(scheme) => scheme(secret.into()),
        Kind::HmacBody => Box::new(HmacBody::new(header()?, secret).prefix(prefix.to_owned())),
        Kind::HeaderToken => Box::new(HeaderToken::new(header()?, secret)),
        Kind::QueryToken if place.is_empty() => return Err(ChoiceError::Parameter),
        Kind::QueryToken => Box::new(QueryToken::new(place, secret)),
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Request;

    use super::*;

    #[test]
    fn scheme_of_every_choice_accepts_its_own_signature() {
        for SchemeChoice { name, .. } in CHOICES {
            let secret = Secret::new("whsec_c2VjcmV0c2VjcmV0c2VjcmV0");
            let scheme = scheme(name, secret, "x-proof", "").unwrap();
            let (mut head, ()) = Request::post("/").body(()).unwrap().into_parts();
            let now = SystemTime::now();
            scheme.signature("msg_1", b"{}", now).unwrap().add_to(&mut head).unwrap();
            assert!(scheme.verify(&head, b"{}", now).is_ok(), "{name}");
        }
    }

    #[test]
    fn missing_name_and_unknown_choice_are_errors() {
        let error = |choice, place| scheme(choice, Secret::new("a"), place, "").unwrap_err();
        assert_eq!(error("hmac", ""), ChoiceError::Header);
        assert_eq!(error("header", "a b"), ChoiceError::Header);
        assert_eq!(error("query", ""), ChoiceError::Parameter);
        assert_eq!(error("other", ""), ChoiceError::Unknown("other".to_owned()));
    }
}
