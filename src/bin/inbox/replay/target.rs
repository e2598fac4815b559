use http::{
    HeaderName, HeaderValue, Request, Uri, header,
    uri::{Parts, PathAndQuery},
};
use tower_inbox::Delivery;

use crate::{poster::Failed, time};

/// Which delivery it was.
const REPLAY: HeaderName = HeaderName::from_static("inbox-replay");

/// When it was received.
const RECEIVED_AT: HeaderName = HeaderName::from_static("inbox-received-at");

/// What speaks of a connection, and not of what was sent by it (RFC 9110, section 7.6.1). The client says it anew.
const OF_THE_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The request of an archived delivery to the server at `to`, marked as a replay.
pub(super) fn request(to: &Uri, delivery: &Delivery) -> Result<Request<()>, Failed> {
    let head = delivery.head();
    let mut request = Request::new(());
    *request.method_mut() = head.method().clone();
    *request.uri_mut() = joined(to, head.uri())?;
    *request.headers_mut() = head.headers().clone();
    for name in OF_THE_CONNECTION {
        request.headers_mut().remove(name);
    }
    let headers = request.headers_mut();
    headers.insert(REPLAY, HeaderValue::try_from(delivery.id().to_string())?);
    headers.insert(RECEIVED_AT, HeaderValue::try_from(time::print(delivery.received_at()))?);
    Ok(request)
}

/// The server and path prefix of `to`, with path and query of the original.
fn joined(to: &Uri, original: &Uri) -> Result<Uri, Failed> {
    let prefix = to.path().trim_end_matches('/');
    let target = original.path_and_query().map_or("/", PathAndQuery::as_str);
    let mut parts = Parts::default();
    parts.scheme = to.scheme().cloned();
    parts.authority = to.authority().cloned();
    parts.path_and_query = Some(format!("{prefix}{target}").parse()?);
    Ok(Uri::from_parts(parts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_are_those_of_the_original_behind_a_prefix() {
        let join = |to: &str, original: &str| {
            joined(&to.parse().unwrap(), &original.parse().unwrap()).unwrap().to_string()
        };
        assert_eq!(join("http://a:1", "/hooks/p?x=1"), "http://a:1/hooks/p?x=1");
        assert_eq!(join("http://a:1/", "/hooks/p"), "http://a:1/hooks/p");
        assert_eq!(join("http://a/dev/", "/hooks"), "http://a/dev/hooks");
        assert_eq!(join("http://a", "https://b.example/hooks"), "http://a/hooks");
    }
}
