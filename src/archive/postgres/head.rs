//! The stored form of a request head: lines of text, so that people can read it with `convert_from(head, 'LATIN1')`.
//!
//! ```text
//! proof: hmac-sha256 secret=main form=raw
//! peer: 192.0.2.7:4711
//! host: inbox.example.com
//!
//! POST /hooks/invoices?page=1 HTTP/1.1
//! content-type: application/json
//! ```

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use crate::{delivery::Head, signature::Proof};

/// Writes the head and the proof of a delivery.
pub(super) fn write(head: &Head, proof: &Proof) -> Vec<u8> {
    // Writing to a string cannot fail.
    let mut text = format!("proof: {proof}\r\n");
    if let Some(peer) = head.peer() {
        let _ = write!(text, "peer: {peer}\r\n");
    }
    // A line break cannot be in a valid host.
    if let Some(host) = head.host().filter(|host| !host.contains(['\r', '\n'])) {
        let _ = write!(text, "host: {host}\r\n");
    }
    let version = version_name(head.version());
    let _ = write!(text, "\r\n{} {} {version}\r\n", head.method(), head.uri());
    let mut bytes = text.into_bytes();
    for (name, value) in head.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

/// Reads the output of [`write`].
pub(super) fn read(bytes: &[u8]) -> Option<(Head, Proof)> {
    let mut lines = Lines(bytes);
    let (mut proof, mut peer, mut host) = (None, None, None);
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let (name, value) = field(line)?;
        let value = std::str::from_utf8(value).ok()?;
        match name {
            b"proof" => proof = Some(value.parse().ok()?),
            b"peer" => peer = Some(value.parse().ok()?),
            b"host" => host = Some(value.to_owned()),
            // A later version may write more.
            _ => {}
        }
    }
    let request = std::str::from_utf8(lines.next()?).ok()?;
    let (method, rest) = request.split_once(' ')?;
    let (uri, version) = rest.rsplit_once(' ')?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = field(line)?;
        let (name, value) =
            (HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
        headers.try_append(name, value).ok()?;
    }
    let (method, uri) = (Method::from_bytes(method.as_bytes()).ok()?, uri.parse::<Uri>().ok()?);
    let head = Head::from_archive(method, uri, version_of(version)?, headers, host, peer);
    Some((head, proof?))
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.windows(2).position(|pair| pair == b": ")?;
    Some((line.get(..at)?, line.get(at + 2..)?))
}

/// Lines that end with CR LF. Values of headers contain neither.
struct Lines<'b>(&'b [u8]);

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let at = self.0.windows(2).position(|pair| pair == b"\r\n")?;
        let line = self.0.get(..at)?;
        self.0 = self.0.get(at + 2..)?;
        Some(line)
    }
}

const VERSIONS: [(Version, &str); 5] = [
    (Version::HTTP_11, "HTTP/1.1"),
    (Version::HTTP_2, "HTTP/2"),
    (Version::HTTP_3, "HTTP/3"),
    (Version::HTTP_10, "HTTP/1.0"),
    (Version::HTTP_09, "HTTP/0.9"),
];

fn version_name(version: Version) -> &'static str {
    VERSIONS.iter().find(|(other, _)| *other == version).map_or("HTTP/1.1", |(_, name)| name)
}

fn version_of(name: &str) -> Option<Version> {
    VERSIONS.iter().find(|(_, other)| *other == name).map(|(version, _)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_reads_back_from_its_stored_form() {
        let mut headers = HeaderMap::new();
        headers.append("x-name", HeaderValue::from_bytes(b"caf\xe9: \xff").unwrap());
        headers.append("x-empty", HeaderValue::from_static(""));
        headers.append("x-empty", HeaderValue::from_static("again"));
        let peer = Some(([192, 0, 2, 7], 4711).into());
        let proof = Proof::new("hmac-sha256", "main", "raw").with_message_id("a b\r\n");
        for (version, host) in [
            (Version::HTTP_11, Some("inbox.example.com:81".to_owned())),
            (Version::HTTP_2, None),
            (Version::HTTP_09, Some(String::new())),
        ] {
            let uri: Uri = "/%20/a;b='c'?x=%0D%0A&y".parse().unwrap();
            let headers = headers.clone();
            let head = Head::from_archive(Method::POST, uri, version, headers, host, peer);
            let read = read(&write(&head, &proof)).unwrap();
            assert_eq!(read, (head, proof.clone()));
        }
    }

    #[test]
    fn truncated_head_is_an_error() {
        for text in ["", "proof: a secret=b form=c\r\n", "\r\nPOST / HTTP/1.1\r\n", "\r\nPOST\r\n"]
        {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
    }
}
