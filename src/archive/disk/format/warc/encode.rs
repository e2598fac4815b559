use std::time::SystemTime;

use bytes::Bytes;
use http::{Version, uri::Authority};

use super::{
    checksum::Salt,
    header::TRAILER,
    header_writer::{HeaderWriter, Urn},
    http_head::{framing, model_in, path_and_query, write},
    tombstone, values,
};
use crate::{
    archive::disk::format::{entry::Entry, name::SegmentName},
    delivery::{Delivery, DeliveryId, Head},
};

/// Placeholder for the host of a request without one. Reserved, so no real host has this name (RFC 2606).
const NO_HOST: &str = "unknown.invalid";

/// The maximum length of a stored host, in bytes. DNS allows 253.
const LONGEST_HOST: usize = 1024;

/// An encoded record. The body is shared with the delivery, not copied.
#[derive(Debug)]
pub(in crate::archive::disk) struct Encoded {
    head: Vec<u8>,
    body: Bytes,
}

impl Encoded {
    /// Returns the bytes to write, in order.
    pub(in crate::archive::disk) fn slices(&self) -> [&[u8]; 3] {
        [&self.head, &self.body, TRAILER]
    }

    /// Returns the number of bytes to write.
    pub(in crate::archive::disk) fn len(&self) -> u64 {
        self.slices().map(|slice| slice.len() as u64).iter().sum()
    }
}

/// The format of segments. A version whose records this one would misread must increment it.
pub(in crate::archive::disk) const FORMAT: u32 = 1;

/// The first line of a removal record. The other lines are the removed deliveries.
pub(super) const REMOVES: &str = "removes:";

/// The field that marks a delivery leased to the process that received it.
pub(super) const LEASED: &str = "Inbox-Leased";

/// The first record of every segment.
pub(in crate::archive::disk) fn warcinfo(name: SegmentName) -> Encoded {
    warcinfo_of(name, FORMAT)
}

pub(in crate::archive::disk) fn warcinfo_of(name: SegmentName, format: u32) -> Encoded {
    let block = format!(
        "software: {}/{}\r\nformat: WARC File Format 1.1\r\ninbox-format: {format}\r\n\
         inbox-segment: {:08}\r\ninbox-salt: {}\r\n\
         description: HTTP requests as received; bodies are exact, heads are rebuilt\r\n",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
        name.sequence,
        name.salt,
    );
    let mut header = HeaderWriter::new("warcinfo", DeliveryId::new(), SystemTime::now());
    header.field("WARC-Filename", format_args!("{name}.warc"));
    // This record must stay readable by every version: a version that cannot parse it would truncate the segment as a
    // torn write instead of rejecting it as newer.
    let mut head = header.finish("application/warc-fields", name.salt, [block.as_bytes(), b""]);
    head.extend_from_slice(block.as_bytes());
    Encoded { head, body: Bytes::new() }
}

/// Encodes an entry as a record of a segment with this salt.
pub(in crate::archive::disk) fn encode(entry: &Entry, salt: Salt) -> Encoded {
    match entry {
        Entry::Delivery { delivery, leased } => request(delivery, *leased, salt),
        Entry::State { of, state } => note(*of, salt, &format!("state: {state}\r\n")),
        Entry::Removal(ids) => {
            let mut block = format!("{REMOVES}\r\n");
            for id in ids {
                block.push_str(&id.to_string());
                block.push_str("\r\n");
            }
            let first = ids.first().copied().unwrap_or_else(DeliveryId::new);
            note(first, salt, &block)
        }
        Entry::Removed(tombstones) => {
            let first = tombstones.first().map(|tombstone| tombstone.meta.id);
            let first = first.unwrap_or_else(DeliveryId::new);
            note(first, salt, &tombstone::print(tombstones))
        }
    }
}

/// A small record about a delivery.
fn note(of: DeliveryId, salt: Salt, block: &str) -> Encoded {
    let mut header = HeaderWriter::new("metadata", DeliveryId::new(), SystemTime::now());
    header.field("WARC-Refers-To", Urn(of));
    let mut head = header.finish("application/warc-fields", salt, [block.as_bytes(), b""]);
    head.extend_from_slice(block.as_bytes());
    Encoded { head, body: Bytes::new() }
}

fn request(delivery: &Delivery, leased: bool, salt: Salt) -> Encoded {
    let (head, body) = (delivery.head(), delivery.body());
    let mut header = HeaderWriter::new("request", delivery.id(), delivery.received_at());
    target_fields(&mut header, head);
    header.field("WARC-Payload-Digest", format_args!("sha256:{}", delivery.digest()));
    header.field("Inbox-Fingerprint", values::print_fingerprint(delivery.fingerprint()));
    if model_in(path_and_query(head)) != Some(delivery.model().as_str()) {
        header.field("Inbox-Model", delivery.model());
    }
    if let Some(peer) = head.peer() {
        header.field("Inbox-Peer", peer);
    }
    header.field("Inbox-Proof", delivery.proof());
    if leased {
        header.field(LEASED, "yes");
    }
    framing_fields(&mut header, head, body.len());
    let http_head = write(head, body.len());
    let content_type = "application/http;msgtype=request";
    let mut bytes = header.finish(content_type, salt, [&http_head, body]);
    bytes.extend_from_slice(&http_head);
    Encoded { head: bytes, body: body.clone() }
}

fn target_fields(header: &mut HeaderWriter, head: &Head) {
    let host = head.host().filter(|host| is_host(host));
    let path = path_and_query(head);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let authority = host.unwrap_or(NO_HOST);
    header.field("WARC-Target-URI", format_args!("http://{authority}{slash}{path}"));
    if host.is_none() {
        header.field("Inbox-Host", "none");
    }
    if let Some(protocol) = protocol(head.version()) {
        header.field("WARC-Protocol", protocol);
    }
}

/// A head may come from any source: an invalid host could forge another field or another address.
fn is_host(text: &str) -> bool {
    let authority = text.parse::<Authority>();
    text.len() <= LONGEST_HOST && authority.is_ok_and(|host| !host.as_str().contains('@'))
}

/// Returns the name of an HTTP version in `WARC-Protocol`; `None` for HTTP/1.1, which is in the request line.
pub(super) fn protocol(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("http/0.9"),
        Version::HTTP_10 => Some("http/1.0"),
        Version::HTTP_2 => Some("h2"),
        Version::HTTP_3 => Some("h3"),
        _ => None,
    }
}

fn framing_fields(header: &mut HeaderWriter, head: &Head, body_length: usize) {
    let framing = framing(head.headers(), body_length);
    if framing.added {
        header.field("Inbox-Content-Length", "added");
    }
    for line in framing.left_out {
        header.raw_field("Inbox-Header", &line);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;
    use crate::signature::Proof;

    /// A delivery as Mindee sends it.
    fn usual() -> Delivery {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("user-agent", HeaderValue::from_static("python-requests/2.32.3"));
        headers.insert("content-length", HeaderValue::from_static("8192"));
        let uri = "/hooks/invoices".parse().unwrap();
        let host = Some("inbox.example.com".to_owned());
        let peer = Some(([203, 0, 113, 200], 43_210).into());
        let head = Head::from_archive(Method::POST, uri, Version::HTTP_11, headers, host, peer);
        Delivery::with_head(
            DeliveryId::new(),
            "/hooks/invoices".parse().unwrap(),
            head,
            Bytes::from(vec![b'x'; 8192]),
            SystemTime::now(),
            Proof::new("hmac-sha256", "current", "raw"),
        )
    }

    #[test]
    fn archive_adds_at_most_570_bytes_to_a_usual_request() {
        let delivery = usual();
        let record = request(&delivery, true, Salt::random());
        let http = write(delivery.head(), delivery.body().len()).len() + delivery.body().len();
        let added = record.len() - http as u64;
        assert!(added <= 570, "{added} bytes: {}", String::from_utf8_lossy(&record.head));
    }

    #[test]
    fn a_body_is_not_copied_before_it_is_written() {
        let delivery = usual();
        let [_, body, _] = request(&delivery, true, Salt::random()).slices().map(<[u8]>::as_ptr);
        assert_eq!(body, delivery.body().as_ptr());
    }
}
