use std::{fmt::Display, time::SystemTime};

use super::{
    checksum::{Checksum, Salt},
    date,
    header::MAGIC,
};
use crate::delivery::DeliveryId;

/// The longest value of a field, in bytes: a little more than the longest URI. It keeps every header shorter than
/// readers look for its end.
const LONGEST: usize = 66 * 1024;

/// Writes the header of a record, field by field, and the checksums last.
pub(super) struct HeaderWriter(Vec<u8>);

impl HeaderWriter {
    pub(super) fn new(kind: &str, id: DeliveryId, date: SystemTime) -> Self {
        let mut header = Self(MAGIC.to_vec());
        header.field("WARC-Type", kind);
        header.field("WARC-Record-ID", urn(id));
        header.field("WARC-Date", date::print(date));
        header
    }

    pub(super) fn field(&mut self, name: &str, value: impl Display) {
        self.raw_field(name, value.to_string().as_bytes());
    }

    /// A field whose value need not be text. A line break would begin another field, and becomes a space.
    pub(super) fn raw_field(&mut self, name: &str, value: &[u8]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend(value.iter().take(LONGEST).map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            other => *other,
        }));
        self.0.extend_from_slice(b"\r\n");
    }

    /// The header of a record with this block. What is told of its type and length is told here alone.
    pub(super) fn finish(mut self, content_type: &str, salt: Salt, block: [&[u8]; 2]) -> Vec<u8> {
        self.field("Content-Type", content_type);
        self.field("Content-Length", block.map(<[u8]>::len).iter().sum::<usize>());
        let header = Checksum::new(salt).with(&self.0).finish();
        self.field("Inbox-Header-Checksum", format_args!("crc32:{header:08x}"));
        let [start, rest] = block;
        let record = Checksum::new(salt).with(&self.0).with(start).with(rest).finish();
        self.field("Inbox-Checksum", format_args!("crc32:{record:08x}"));
        self.0.extend_from_slice(b"\r\n");
        self.0
    }
}

/// How WARC writes an id.
pub(super) fn urn(id: DeliveryId) -> String {
    format!("<urn:uuid:{id}>")
}
