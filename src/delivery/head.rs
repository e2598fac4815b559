use std::{net::SocketAddr, sync::Arc};

use http::{HeaderMap, Method, Uri, Version, request};
use percent_encoding::percent_decode_str;

use super::Redaction;

/// The head of a delivery's request, without its secrets.
///
/// It is built from the parsed request: header names are lower-case, and their order may differ. Unlike the body, it is
/// not stored byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    host: Option<String>,
    peer: Option<SocketAddr>,
}

impl Head {
    /// Creates the head of a request, without the values that `redaction` names.
    pub fn of(parts: &request::Parts, redaction: &Redaction) -> Self {
        let (uri, headers) = redaction.redact(&parts.uri, &parts.headers);
        Self {
            method: parts.method.clone(),
            uri,
            version: parts.version,
            headers,
            host: host_of(parts),
            peer: parts.extensions.get().copied(),
        }
    }

    /// Restores a redacted head, for archives that read it.
    pub fn from_archive(
        method: Method,
        uri: Uri,
        version: Version,
        headers: HeaderMap,
        host: Option<String>,
        peer: Option<SocketAddr>,
    ) -> Self {
        Self { method, uri, version, headers, host, peer }
    }

    /// Returns the head without the values that `redaction` names.
    pub(crate) fn redacted(&self, redaction: &Redaction) -> Self {
        let (uri, headers) = redaction.redact(&self.uri, &self.headers);
        Self { uri, headers, ..self.clone() }
    }

    /// Returns a request head with the stored parts.
    pub(crate) fn to_parts(&self) -> request::Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = self.uri.clone();
        parts.version = self.version;
        parts.headers = self.headers.clone();
        if let Some(peer) = self.peer {
            parts.extensions.insert(peer);
        }
        parts
    }

    /// The method, usually `POST`.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path and query, with placeholders for secret values.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The HTTP version of the request.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The headers, with placeholders for secret values.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The host and port of the request, if it has one.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The address of the client, if the server put a [`SocketAddr`] into the request extensions.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

/// HTTP/1.1 has the host in a header, HTTP/2 in the URI (RFC 9110, section 7.2).
fn host_of(parts: &request::Parts) -> Option<String> {
    let named = match parts.uri.host() {
        Some(host) => match parts.uri.port_u16() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        },
        None => parts.headers.get(http::header::HOST)?.to_str().ok()?.to_owned(),
    };
    let authority: http::uri::Authority = named.parse().ok()?;
    let has_user = authority.as_str().contains('@');
    (!has_user).then_some(named)
}

/// The captures of a model's path, decoded: for `/hooks/property/{reference}`, the `reference`.
///
/// In the request extensions; with feature `axum` an extractor. The sender chooses the values: do not use them as file
/// names.
///
/// A unit test of a handler collects them from pairs:
///
/// ```
/// use tower_inbox::Captures;
///
/// let captures = Captures::from_iter([("reference", "elm-12")]);
/// assert_eq!(captures.get("reference"), Some("elm-12"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures(Arc<[(Box<str>, Box<str>)]>);

impl Captures {
    /// Returns the value of the capture `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Iterates over the names and values of all captures, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Percent-decodes the values; None if one is not UTF-8.
    pub(crate) fn decode<'a>(encoded: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        encoded
            .map(|(name, value)| {
                let value = percent_decode_str(value).decode_utf8().ok()?;
                Some((name.into(), value.into()))
            })
            .collect::<Option<_>>()
            .map(Self)
    }
}

/// From names and decoded values, in the order of the path.
impl<N: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Captures {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(captures: I) -> Self {
        Self(captures.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(request: http::request::Builder) -> Head {
        Head::of(&request.body(()).unwrap().into_parts().0, &Redaction::default())
    }

    #[test]
    fn host_is_taken_from_the_header_or_the_uri() {
        let http1 = head(Request::post("/a").header("host", "example.com:81"));
        assert_eq!(http1.host(), Some("example.com:81"));
        let http2 = head(Request::post("https://example.com/a"));
        assert_eq!(http2.host(), Some("example.com"));
        assert_eq!(http2.uri(), "/a");
    }

    #[test]
    fn invalid_host_is_left_out() {
        for host in ["me:pass@example.com", "a b", ""] {
            assert_eq!(head(Request::post("/a").header("host", host)).host(), None, "{host:?}");
        }
    }

    #[test]
    fn capture_is_percent_decoded_once() {
        let captures = Captures::decode([("a", "x%2Fy%2520")].into_iter()).unwrap();
        assert_eq!(captures.get("a"), Some("x/y%20"));
        assert_eq!(captures.get("b"), None);
    }

    #[test]
    fn capture_that_is_not_utf8_is_rejected() {
        assert_eq!(Captures::decode([("a", "%FF")].into_iter()), None);
    }
}
