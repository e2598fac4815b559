use std::fmt;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    request::Parts,
    uri::{PathAndQuery, Uri},
};
use zeroize::Zeroizing;

use super::{Place, SignError};

/// What a sender adds to a request, so that the scheme that made it accepts it: headers, and for a token in the query
/// a parameter.
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
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// If a header cannot hold the value, such as for a line break in it.
    pub fn header(mut self, name: &HeaderName, value: impl AsRef<[u8]>) -> Result<Self, SignError> {
        let value = HeaderValue::from_bytes(value.as_ref());
        let mut value = value.map_err(|_| SignError::Unsendable { place: name.into() })?;
        // A token is a secret, and `HeaderValue` shows itself unless it is told not to.
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Adds a parameter of the query, which is encoded when it is added to a request.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query = Some((name.into(), Zeroizing::new(value.into())));
        self
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The name and the value of the query parameter, not encoded.
    pub fn query(&self) -> Option<(&str, &str)> {
        self.query.as_ref().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds it to a request. Headers of these names are replaced; the query parameter comes behind the others.
    ///
    /// # Errors
    ///
    /// If the query parameter makes no valid URI, such as when it becomes too long.
    pub fn add_to(&self, head: &mut Parts) -> Result<(), SignError> {
        if let Some((name, value)) = self.query() {
            let unsendable = || SignError::Unsendable { place: Place::Query(name.to_owned()) };
            head.uri = with_parameter(&head.uri, name, value).ok_or_else(unsendable)?;
        }
        head.headers.extend(self.headers.clone());
        Ok(())
    }
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
    use http::Request;

    use super::*;

    #[test]
    fn a_parameter_comes_behind_the_others_and_is_encoded() {
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
