//! Writes the head of a request as HTTP/1.1, and reads it.
//!
//! The body in a record is not chunked, and its length is known. For every HTTP parser to read it correctly, the head
//! has exactly one correct `content-length` and no `transfer-encoding`. The original framing headers are kept in
//! extension fields of the record.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::header::{fields_in, split_once};
use crate::delivery::Head;

/// The headers that define the framing of a body.
const FRAMING: [HeaderName; 2] = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// The maximum size of the original framing headers that is kept, in bytes. Regular senders need about 30.
const MOST_FRAMING: usize = 64 * 1024;

/// The length of a typical head, in bytes.
const USUAL: usize = 1024;

/// The framing information that is stored outside the head.
pub(super) struct Framing {
    /// Whether the head in the record has a `content-length` that the sender did not send.
    pub(super) added: bool,
    /// The sender's header lines that are omitted from the head in the record.
    pub(super) left_out: Vec<Vec<u8>>,
}

/// Returns the differences between the written head and the received one.
pub(super) fn framing(headers: &HeaderMap, body_length: usize) -> Framing {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let true_length = body_length.to_string();
    let said_so = lengths.next().is_some_and(|length| length == true_length.as_str());
    let added = !said_so || lengths.next().is_some();
    let mut room = MOST_FRAMING;
    let left_out = FRAMING
        .iter()
        .filter(|name| added || *name == header::TRANSFER_ENCODING)
        .flat_map(|name| headers.get_all(name).iter().map(move |value| line(name, value)))
        .take_while(|line| {
            room = room.saturating_sub(line.len());
            room > 0
        })
        .collect();
    Framing { added, left_out }
}

/// Writes the request line, the header lines and a blank line.
pub(super) fn write(head: &Head, body_length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(USUAL);
    let mut push = |parts: [&[u8]; 4]| parts.iter().for_each(|part| text.extend_from_slice(part));
    let method = head.method().as_str().as_bytes();
    push([method, b" ", path_and_query(head).as_bytes(), b" HTTP/1.1\r\n"]);
    for (name, value) in head.headers().iter().filter(|(name, _)| !FRAMING.contains(name)) {
        push([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    push([b"content-length: ", body_length.to_string().as_bytes(), b"\r\n", b"\r\n"]);
    text
}

/// Returns the path and query as in the request line.
pub(super) fn path_and_query(head: &Head) -> &str {
    head.uri().path_and_query().map_or("/", |path| path.as_str())
}

/// Returns the default model name for a path with a query: the path.
pub(super) fn model_in(target: &str) -> Option<&str> {
    target.split('?').next().filter(|path| path.starts_with('/'))
}

fn line(name: &HeaderName, value: &HeaderValue) -> Vec<u8> {
    [name.as_str().as_bytes(), b": ", value.as_bytes()].concat()
}

/// A parsed head, and the body after it.
pub(super) struct Parsed<'b> {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: &'b [u8],
}

/// Reads the output of [`write`], and restores the sender's framing headers.
pub(super) fn read<'b>(block: &'b [u8], framing: &Framing) -> Option<Parsed<'b>> {
    let (request_line, rest) = split_once(block, b"\r\n")?;
    let (method, rest_of_line) = split_once(request_line, b" ")?;
    let (uri, _) = split_once(rest_of_line, b" ")?;
    let (fields, body) = fields_in(rest).ok()?;
    // With many lines for few names, the map accepts more entries than it allows to reserve.
    let mut headers = HeaderMap::try_with_capacity(fields.len()).unwrap_or_default();
    let kept = |name: &[u8]| !framing.added || name != header::CONTENT_LENGTH.as_str().as_bytes();
    for (name, value) in fields.into_iter().filter(|(name, _)| kept(name)) {
        append(&mut headers, name, value)?;
    }
    for line in &framing.left_out {
        let (name, value) = split_once(line, b": ")?;
        append(&mut headers, name, value)?;
    }
    Some(Parsed {
        method: Method::from_bytes(method).ok()?,
        uri: Uri::try_from(uri).ok()?,
        headers,
        body,
    })
}

fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8]) -> Option<bool> {
    let name = HeaderName::from_bytes(name).ok()?;
    headers.try_append(name, HeaderValue::from_bytes(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use http::Version;

    use super::*;

    fn head(headers: &[(&'static str, &'static str)]) -> Head {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
        let uri = "/a?b=c".parse().unwrap();
        Head::from_archive(Method::POST, uri, Version::HTTP_11, headers, None, None)
    }

    #[test]
    fn the_written_head_has_one_true_length_and_the_read_one_is_the_senders() {
        for framing_headers in [
            &[("content-length", "3")][..],
            &[],
            &[("transfer-encoding", "chunked")],
            &[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")],
            &[("content-length", "4")],
            &[("content-length", "3"), ("content-length", "3")],
            &[("content-length", "3"), ("transfer-encoding", "chunked"), ("a", "b"), ("a", "c")],
        ] {
            let head = head(framing_headers);
            let written = write(&head, 3);
            let text = std::str::from_utf8(&written).unwrap();
            assert_eq!(text.matches("content-length: 3\r\n").count(), 1, "{text}");
            assert!(!text.contains("transfer-encoding"), "{text}");
            let block = [written.as_slice(), b"xyz"].concat();
            let read = read(&block, &framing(head.headers(), 3)).unwrap();
            assert_eq!(&read.headers, head.headers());
            assert_eq!((read.body, read.uri), (&b"xyz"[..], head.uri().clone()));
        }
    }
}
