//! The request that replays a delivery.

use std::time::SystemTime;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri, header,
    request::Parts,
    uri::{self, PathAndQuery},
};
use http_body_util::Full;
use tower_inbox::{Delivery, signature::Scheme};

use crate::{client::PostError, format, send::message_id};

/// The header with the id of the replayed delivery.
const REPLAY: HeaderName = HeaderName::from_static("inbox-replay");

/// The header with the time at which it was received.
const RECEIVED_AT: HeaderName = HeaderName::from_static("inbox-received-at");

/// Headers that belong to the connection and not to the message (RFC 9110, section 7.6.1). The client sets its own.
const CONNECTION_HEADERS: [HeaderName; 12] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The request of an archived delivery to the server at `to`, marked as a replay, with redacted and expired values
/// replaced. A signature covers `message`, or else a new message id.
pub(crate) fn replayed(
    to: &Uri,
    delivery: &Delivery,
    replacements: &Replacements,
    message: Option<&str>,
) -> Result<Request<Full<Bytes>>, PostError> {
    let (mut head, ()) = original(to, delivery)?.into_parts();
    replacements.apply(&mut head, delivery.body(), message)?;
    Ok(Request::from_parts(head, Full::new(delivery.body().clone())))
}

/// The head of an archived delivery for the server at `to`, marked as a replay.
pub(super) fn original(to: &Uri, delivery: &Delivery) -> Result<Request<()>, PostError> {
    let head = delivery.head();
    let mut request = Request::new(());
    *request.method_mut() = head.method().clone();
    *request.uri_mut() = joined(to, head.uri())?;
    *request.headers_mut() = end_to_end(head.headers().clone());
    mark(request.headers_mut(), delivery)?;
    Ok(request)
}

/// Marks the request of a delivery as a replay.
pub(crate) fn mark(headers: &mut HeaderMap, delivery: &Delivery) -> Result<(), PostError> {
    headers.insert(REPLAY, HeaderValue::try_from(delivery.id().to_string())?);
    headers.insert(RECEIVED_AT, HeaderValue::try_from(format::time(delivery.received_at()))?);
    Ok(())
}

/// Removes the headers of the connection, also those that the header `connection` names.
pub(crate) fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let listed = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let listed = listed.flat_map(|names| names.split(','));
    let listed: Vec<HeaderName> = listed.filter_map(|name| name.trim().parse().ok()).collect();
    for name in listed.iter().chain(&CONNECTION_HEADERS) {
        headers.remove(name);
    }
    headers
}

/// The server and path prefix of `to`, with path and query of the original.
fn joined(to: &Uri, original: &Uri) -> Result<Uri, PostError> {
    let prefix = to.path().trim_end_matches('/');
    let target = original.path_and_query().map_or("/", PathAndQuery::as_str);
    at_server(to, &format!("{prefix}{target}"))
}

/// The server of `to`, with this path and query.
pub(crate) fn at_server(to: &Uri, target: &str) -> Result<Uri, PostError> {
    let mut parts = uri::Parts::default();
    parts.scheme = to.scheme().cloned();
    parts.authority = to.authority().cloned();
    parts.path_and_query = Some(target.parse()?);
    Ok(Uri::from_parts(parts)?)
}

/// The values that replace redacted and expired parts of each request.
#[derive(Default)]
pub(crate) struct Replacements {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) scheme: Option<Box<dyn Scheme>>,
}

impl Replacements {
    fn apply(&self, head: &mut Parts, body: &[u8], message: Option<&str>) -> Result<(), PostError> {
        for (name, value) in &self.headers {
            head.headers.insert(name, value.clone());
        }
        for (name, value) in &self.parameters {
            set_parameter(head, name, value)?;
        }
        let Some(scheme) = &self.scheme else { return Ok(()) };
        let id = message.map_or_else(message_id, str::to_owned);
        let signature = scheme.signature(&id, body, SystemTime::now())?;
        for (name, value) in signature.headers() {
            head.headers.insert(name, value.clone());
        }
        match signature.query() {
            Some((name, value)) => set_parameter(head, name, value),
            None => Ok(()),
        }
    }
}

/// Replaces a query parameter, and keeps the others byte for byte.
fn set_parameter(head: &mut Parts, name: &str, value: &str) -> Result<(), PostError> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let ours = format!("{}={}", encode(name), encode(value));
    let is_same = |pair: &&str| {
        form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(known, _)| known == name)
    };
    let query = head.uri.query().unwrap_or_default();
    let others = query.split('&').filter(|pair| !pair.is_empty() && !is_same(pair));
    let query: Vec<_> = others.chain([ours.as_str()]).collect();
    let target = format!("{}?{}", head.uri.path(), query.join("&"));
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = Some(target.parse()?);
    head.uri = parts.try_into()?;
    Ok(())
}

/// Parses `name=value`.
pub(super) fn parse_parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("use NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tower_inbox::{Secret, signature::QueryToken};

    use super::*;
    use crate::send::parse_header;

    #[test]
    fn replacements_replace_headers_and_parameters_and_keep_the_rest() {
        let request = Request::post("/p?token=redacted&a=%2F").header("x-a", "old").body(());
        let (mut head, ()) = request.unwrap().into_parts();
        let replacements = Replacements {
            headers: vec![parse_header("X-A:  new").unwrap()],
            parameters: vec![parse_parameter("b=c d").unwrap()],
            scheme: Some(Box::new(QueryToken::new("token", Secret::new("hunter2")))),
        };
        replacements.apply(&mut head, b"{}", None).unwrap();
        assert_eq!(head.uri, "/p?a=%2F&b=c+d&token=hunter2");
        assert_eq!(head.headers["x-a"], "new");
        assert!(parse_parameter("no").is_err());
    }

    #[test]
    fn hop_by_hop_headers_and_those_named_by_connection_are_removed() {
        let request = Request::post("/")
            .header("connection", "keep-alive, X-Hop")
            .header("connection", "x-other-hop")
            .header("keep-alive", "timeout=5")
            .header("x-hop", "1")
            .header("x-other-hop", "2")
            .header("transfer-encoding", "chunked")
            .header("x-signature", "sha256=ab")
            .body(());
        let headers = end_to_end(request.unwrap().headers().clone());
        assert_eq!(headers.len(), 1, "{headers:?}");
        assert_eq!(headers["x-signature"], "sha256=ab");
    }

    #[test]
    fn path_and_query_of_the_original_follow_the_prefix() {
        let join = |to: &str, original: &str| {
            joined(&to.parse().unwrap(), &original.parse().unwrap()).unwrap().to_string()
        };
        assert_eq!(join("http://a:1", "/hooks/p?x=1"), "http://a:1/hooks/p?x=1");
        assert_eq!(join("http://a:1/", "/hooks/p"), "http://a:1/hooks/p");
        assert_eq!(join("http://a/dev/", "/hooks"), "http://a/dev/hooks");
        assert_eq!(join("http://a", "https://b.example/hooks"), "http://a/hooks");
    }
}
