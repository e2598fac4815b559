use http::request;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Proof, Scheme, SchemeError, SecretSet, SignatureError};
use crate::delivery::Redaction;

/// A token in a parameter of the query, for providers that sign nothing: the URL itself is the secret.
///
/// 1. The parameter must be there exactly once.
/// 2. Its decoded value must be one of the live secrets; neither place nor length of a difference shows in the time.
///
/// The value never reaches the archive or a log.
#[derive(Clone, Debug)]
pub struct QueryToken {
    parameter: String,
    secrets: SecretSet,
}

impl QueryToken {
    /// Expects one of `secrets` in the query parameter `parameter`.
    pub fn new(parameter: impl Into<String>, secrets: impl Into<SecretSet>) -> Self {
        Self { parameter: parameter.into(), secrets: secrets.into() }
    }

    fn place(&self) -> String {
        format!("query parameter {}", self.parameter)
    }
}

impl Scheme for QueryToken {
    fn check(&self) -> Result<(), SchemeError> {
        self.secrets.check()
    }

    fn verify(&self, head: &request::Parts, _: &[u8]) -> Result<Proof, SignatureError> {
        let query = head.uri.query().unwrap_or_default();
        let mut values = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| name.eq_ignore_ascii_case(&self.parameter))
            .map(|(_, value)| value);
        let token = values.next().ok_or_else(|| SignatureError::Missing { place: self.place() })?;
        if values.next().is_some() {
            return Err(SignatureError::Ambiguous { place: self.place() });
        }
        // Digests have one length, so that the time says nothing about the length of the secret.
        let sent = Sha256::digest(token.as_bytes());
        self.secrets
            .iter()
            .find(|secret| Sha256::digest(secret.value()).ct_eq(&sent).into())
            .map(|secret| Proof::new("query-token", secret.name(), "raw"))
            .ok_or_else(|| SignatureError::Mismatch { place: self.place() })
    }

    fn redaction(&self) -> Redaction {
        Redaction::default().query(self.parameter.clone())
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::signature::Secret;

    fn verify(uri: &str) -> Result<Proof, SignatureError> {
        let scheme =
            QueryToken::new("ticket", [Secret::new("a+b c").named("new"), Secret::new("old")]);
        scheme.verify(&Request::post(uri).body(()).unwrap().into_parts().0, b"")
    }

    #[test]
    fn every_live_secret_is_accepted() {
        assert_eq!(verify("/a?x=y&ticket=a%2Bb%20c").unwrap().secret(), "new");
        assert_eq!(verify("/a?ticket=old").unwrap().secret(), "main");
    }

    #[test]
    fn anything_else_is_refused() {
        let place = || "query parameter ticket".to_owned();
        let missing = Err(SignatureError::Missing { place: place() });
        let mismatch = Err(SignatureError::Mismatch { place: place() });
        let ambiguous = Err(SignatureError::Ambiguous { place: place() });
        assert_eq!(verify("/a"), missing);
        assert_eq!(verify("/a?x=old"), missing);
        assert_eq!(verify("/a?ticket="), mismatch);
        assert_eq!(verify("/a?ticket=ol"), mismatch);
        assert_eq!(verify("/a?ticket=old2"), mismatch);
        assert_eq!(verify("/a?ticket=old&Ticket=old"), ambiguous);
    }
}
