//! The schemes by which a request can be checked.

use http::HeaderName;

use crate::{
    provider::ProviderScheme,
    signature::{HeaderToken, HmacBody, QueryToken, Scheme, Secret, StandardWebhooks},
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
    /// That of a provider, which needs only a secret.
    Provider(ProviderScheme),
    Svix,
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

/// The schemes of no single provider.
const OTHER: [SchemeChoice; 4] = [
    SchemeChoice { name: "svix", label: "Svix", kind: Kind::Svix },
    SchemeChoice { name: "hmac", label: "HMAC-SHA256 in a header", kind: Kind::HmacBody },
    SchemeChoice { name: "header", label: "Token in a header", kind: Kind::HeaderToken },
    SchemeChoice { name: "query", label: "Token in the query", kind: Kind::QueryToken },
];

/// The choices of the form, in its order.
pub(super) fn choices() -> impl Iterator<Item = SchemeChoice> {
    let providers = ProviderScheme::ALL.iter().map(|provider| {
        let kind = Kind::Provider(*provider);
        SchemeChoice { name: provider.name(), label: provider.label(), kind }
    });
    providers.chain(OTHER)
}

/// The scheme of a choice. `place` names the header or parameter of a generic scheme, and `prefix` is the text before a
/// signature.
pub(super) fn scheme(
    choice: &str,
    secret: Secret,
    place: &str,
    prefix: &str,
) -> Result<Box<dyn Scheme>, ChoiceError> {
    let found = choices().find(|known| known.name == choice);
    let found = found.ok_or_else(|| ChoiceError::Unknown(choice.to_owned()))?;
    let header = || place.parse::<HeaderName>().map_err(|_| ChoiceError::Header);
    Ok(match found.kind {
        Kind::Provider(provider) => provider.scheme(secret),
        Kind::Svix => Box::new(StandardWebhooks::new(secret).svix()),
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
        for SchemeChoice { name, .. } in choices() {
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
