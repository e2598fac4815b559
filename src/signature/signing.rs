use std::{fmt, time::SystemTime};

use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    request::Parts,
    uri::{PathAndQuery, Uri},
};
use zeroize::Zeroizing;

use super::{Place, Scheme, SignError};

/// What a sender adds to a request to authenticate it: headers and, for a token in the query, a parameter.
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{Scheme, Secret, StandardWebhooks};
///
/// let scheme = StandardWebhooks::new(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
/// let (mut head, body) = Request::post("/hooks/images").body(b"{}")?.into_parts();
/// let now = SystemTime::now();
/// scheme.signature("msg_1", body, now)?.add_to(&mut head)?;
/// assert!(scheme.verify(&head, body, now).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Signature {
    headers: HeaderMap,
    query: Option<(String, Zeroizing<String>)>,
}

impl Signature {
    /// Creates a signature without headers and parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// If `value` is not a valid header value, such as one with a line break.
    pub fn header(mut self, name: &HeaderName, value: impl AsRef<[u8]>) -> Result<Self, SignError> {
        let value = HeaderValue::from_bytes(value.as_ref());
        let mut value = value.map_err(|_| SignError::Unsendable { place: name.into() })?;
        // A token is a secret. `Debug` of `HeaderValue` prints values that are not marked as sensitive.
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sets the query parameter. It is percent-encoded when it is added to a request.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query = Some((name.into(), Zeroizing::new(value.into())));
        self
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the name and the value of the query parameter, not encoded.
    pub fn query(&self) -> Option<(&str, &str)> {
        self.query.as_ref().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds the signature to a request. Replaces headers of the same name, and appends the query parameter.
    ///
    /// # Errors
    ///
    /// If the URI would be invalid with the query parameter, such as too long.
    pub fn add_to(&self, head: &mut Parts) -> Result<(), SignError> {
        if let Some((name, value)) = self.query() {
            let unsendable = || SignError::Unsendable { place: Place::Query(name.to_owned()) };
            head.uri = with_parameter(&head.uri, name, value).ok_or_else(unsendable)?;
        }
        head.headers.extend(self.headers.clone());
        Ok(())
    }
}

/// Signs `request` as the sender does at `at`, so that `scheme` accepts it. For tests and for senders.
///
/// `message_id` is the id that the sender gives to the message, for schemes that sign one; other schemes ignore it. Use
/// another id for each message, and the same id for each attempt to deliver it.
///
/// [`Model::sign`](crate::Model::sign) signs with the scheme of a model.
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{HmacBody, Scheme, Secret, sign_request};
///
/// let scheme = HmacBody::new("x-my-signature", Secret::new("correct horse")).prefix("sha256=");
/// let request = Request::post("/hooks/captions").body(r#"{"job": "j1"}"#)?;
/// let now = SystemTime::now();
/// let (head, body) = sign_request(&scheme, "msg_1", now, request)?.into_parts();
/// assert!(scheme.verify(&head, body.as_bytes(), now).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`SignError::CheckOnly`] if the scheme cannot sign, [`SignError::NoSecret`] if no secret or private key is valid at
/// `at`, and other errors if the signature cannot be added to the request.
pub fn sign_request<B: AsRef<[u8]>>(
    scheme: &(impl Scheme + ?Sized),
    message_id: &str,
    at: SystemTime,
    request: Request<B>,
) -> Result<Request<B>, SignError> {
    let (mut head, body) = request.into_parts();
    scheme.signature(message_id, body.as_ref(), at)?.add_to(&mut head)?;
    Ok(Request::from_parts(head, body))
}

fn with_parameter(uri: &Uri, name: &str, value: &str) -> Option<Uri> {
    let pair = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    let path_and_query = match uri.query() {
        Some(query) => format!("{}?{query}&{pair}", uri.path()),
        None => format!("{}?{pair}", uri.path()),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature")
            .field("headers", &self.headers)
            .field("query", &self.query().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{HmacBody, QueryToken, Secret, StandardWebhooks};

    #[test]
    fn signed_request_is_accepted_and_keeps_its_body_and_headers() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
        let secret = || Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let schemes: [Box<dyn Scheme>; 3] = [
            Box::new(HmacBody::new("x-signature", secret())),
            Box::new(StandardWebhooks::new(secret())),
            Box::new(QueryToken::new("ticket", secret())),
        ];
        for scheme in schemes {
            let request = Request::post("/a?b=c").header("x-other", "1").body("{}").unwrap();
            let (head, body) = sign_request(&scheme, "msg_1", now, request).unwrap().into_parts();
            assert_eq!((body, &head.headers["x-other"]), ("{}", &HeaderValue::from_static("1")));
            assert!(scheme.verify(&head, body.as_bytes(), now).is_ok(), "{scheme:?}");
            assert!(scheme.verify(&head, b"[]", now).is_err() || head.uri.query() != Some("b=c"));
        }
    }

    #[test]
    fn query_parameter_is_appended_and_encoded() {
        for (uri, expected) in [
            ("/a", "/a?ticket=x%26+y"),
            ("/a?b=c", "/a?b=c&ticket=x%26+y"),
            ("http://host/a", "http://host/a?ticket=x%26+y"),
        ] {
            let mut head = Request::post(uri).body(()).unwrap().into_parts().0;
            Signature::new().parameter("ticket", "x& y").add_to(&mut head).unwrap();
            assert_eq!(head.uri, expected);
        }
    }

    #[test]
    fn debug_shows_names_only() {
        let name = HeaderName::from_static("x-hook-token");
        let signature = Signature::new().header(&name, "hunter2").unwrap();
        let shown = format!("{:?}", signature.parameter("ticket", "hunter3"));
        assert!(shown.contains("x-hook-token") && shown.contains("ticket"), "{shown}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
