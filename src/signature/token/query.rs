use std::time::SystemTime;

use http::request;

use super::compare::prove;
use crate::{
    delivery::Redaction,
    signature::{
        Place, Proof, Scheme, SchemeError, SecretSet, SignError, Signature, SignatureError,
        doctor::{Difference, TOKEN_PARAMETERS, Variant},
    },
};

/// A token in a parameter of the query, for providers that sign nothing: the URL itself is the secret.
///
/// 1. The parameter must be there exactly once.
/// 2. Its decoded value must be one of the secrets that are live at the time of receipt; neither place nor length of a
///    difference shows in the time.
///
/// The value never reaches the archive or a log.
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{QueryToken, Scheme, Secret};
///
/// let scheme = QueryToken::new("ticket", Secret::new("correct horse"));
/// let (head, ()) = Request::post("/hooks/group?ticket=correct%20horse").body(())?.into_parts();
/// assert!(scheme.verify(&head, b"{}", SystemTime::now()).is_ok());
/// # Ok::<(), http::Error>(())
/// ```
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
}

impl Scheme for QueryToken {
    fn check(&self) -> Result<(), SchemeError> {
        self.secrets.check()
    }

    fn check_head(&self, head: &request::Parts, at: SystemTime) -> Result<(), SignatureError> {
        self.verify(head, b"", at).map(drop)
    }

    fn verify(
        &self,
        head: &request::Parts,
        _: &[u8],
        at: SystemTime,
    ) -> Result<Proof, SignatureError> {
        let place = Place::Query(self.parameter.clone());
        let query = head.uri.query().unwrap_or_default();
        let values = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| name.eq_ignore_ascii_case(&self.parameter))
            .map(|(_, value)| value);
        let token = place.single(values)?;
        prove("query-token", &self.secrets.live(head, at), b"", token.as_bytes(), &place)
    }

    fn signature(&self, _: &str, _: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        let secret = self.secrets.signing(at).next().ok_or(SignError::NoSecret)?;
        let place = || Place::Query(self.parameter.clone());
        let token = std::str::from_utf8(secret.value());
        let token = token.map_err(|_| SignError::Unsendable { place: place() })?;
        Ok(Signature::new().parameter(self.parameter.as_str(), token))
    }

    fn redaction(&self) -> Redaction {
        Redaction::default().query(self.parameter.clone())
    }

    fn variants(&self) -> Vec<Variant> {
        let sets = self.secrets.variants().into_iter();
        let sets =
            sets.map(|(difference, set)| Variant::new(difference, Self::new(&self.parameter, set)));
        let parameters = TOKEN_PARAMETERS.into_iter().map(|name| {
            Variant::new(Difference::Parameter(name), Self::new(name, self.secrets.clone()))
        });
        sets.chain(parameters).collect()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::signature::Secret;

    fn scheme() -> QueryToken {
        QueryToken::new("ticket", [Secret::new("a+b c").named("new"), Secret::new("old")])
    }

    fn verify(uri: &str) -> Result<Proof, SignatureError> {
        let head = Request::post(uri).body(()).unwrap().into_parts().0;
        scheme().verify(&head, b"", SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn every_live_secret_is_accepted() {
        assert_eq!(verify("/a?x=y&ticket=a%2Bb%20c").unwrap().secret(), "new");
        assert_eq!(verify("/a?ticket=old").unwrap().secret(), "main");
    }

    #[test]
    fn anything_else_is_refused() {
        let place = Place::Query("ticket".to_owned());
        let missing = Err(SignatureError::Missing { place: place.clone() });
        let ambiguous = Err(SignatureError::Ambiguous { place: place.clone() });
        let mismatch = Err(place.mismatch());
        assert_eq!(verify("/a"), missing);
        assert_eq!(verify("/a?x=old"), missing);
        assert_eq!(verify("/a?ticket="), mismatch);
        assert_eq!(verify("/a?ticket=ol"), mismatch);
        assert_eq!(verify("/a?ticket=old2"), mismatch);
        assert_eq!(verify("/a?ticket=old&Ticket=old"), ambiguous);
    }

    #[test]
    fn what_a_sender_adds_is_accepted() {
        let (mut head, ()) = Request::post("/a?x=y").body(()).unwrap().into_parts();
        let at = SystemTime::UNIX_EPOCH;
        scheme().signature("", b"", at).unwrap().add_to(&mut head).unwrap();
        assert_eq!(head.uri, "/a?x=y&ticket=a%2Bb+c");
        assert_eq!(scheme().verify(&head, b"", at).unwrap().secret(), "new");
    }
}
