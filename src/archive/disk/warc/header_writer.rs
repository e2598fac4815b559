use std::{
    fmt::{self, Display, Write},
    time::SystemTime,
};

use super::{
    checksum::{Checksum, Salt},
    date,
    header::{CHECKSUMS, MAGIC},
};
use crate::delivery::DeliveryId;

/// The longest value of a field, in bytes: a little more than the longest URI. It keeps every header shorter than
/// readers look for its end.
const LONGEST: usize = 66 * 1024;

/// As long as the header and the head of a usual request together, so that a record takes one allocation.
const USUAL: usize = 2048;

/// Writes the header of a record, field by field, and the checksums last.
pub(super) struct HeaderWriter(Vec<u8>);

impl HeaderWriter {
    pub(super) fn new(kind: &str, id: DeliveryId, date: SystemTime) -> Self {
        let mut bytes = Vec::with_capacity(USUAL);
        bytes.extend_from_slice(MAGIC);
        let mut header = Self(bytes);
        header.field("WARC-Type", kind);
        header.field("WARC-Record-ID", Urn(id));
        header.field("WARC-Date", date::print(date));
        header
    }

    pub(super) fn field(&mut self, name: &str, value: impl Display) {
        self.begin(name);
        // It fails only where a part of `value` does, and none does.
        let _ = write!(Value { bytes: &mut self.0, room: LONGEST }, "{value}");
        self.end();
    }

    /// A field whose value need not be text.
    pub(super) fn raw_field(&mut self, name: &str, value: &[u8]) {
        self.begin(name);
        Value { bytes: &mut self.0, room: LONGEST }.push(value);
        self.end();
    }

    fn begin(&mut self, name: &str) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
    }

    fn end(&mut self) {
        self.0.extend_from_slice(b"\r\n");
    }

    /// Ends the header of a record with this block: type, length and checksums come last.
    pub(super) fn finish(mut self, content_type: &str, salt: Salt, block: [&[u8]; 2]) -> Vec<u8> {
        self.field("Content-Type", content_type);
        self.field("Content-Length", block.map(<[u8]>::len).iter().sum::<usize>());
        let header = Checksum::new(salt).with(&self.0);
        let [start, rest] = block;
        let record = header.clone().with(start).with(rest).finish();
        self.field(CHECKSUMS, format_args!("{:08x} {record:08x}", header.finish()));
        self.end();
        self.0
    }
}

/// The value of a field in the making. A line break would begin another field, and becomes a space.
struct Value<'h> {
    bytes: &'h mut Vec<u8>,
    room: usize,
}

impl Value<'_> {
    fn push(&mut self, part: &[u8]) {
        let part = part.get(..self.room).unwrap_or(part);
        self.room -= part.len();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        // Not a loop that ends early: this one the processor runs over many bytes at a time.
        let breaks = part.iter().fold(false, |any, byte| any | matches!(byte, b'\r' | b'\n'));
        if breaks {
            for byte in self.bytes.get_mut(start..).into_iter().flatten() {
                if matches!(byte, b'\r' | b'\n') {
                    *byte = b' ';
                }
            }
        }
    }
}

impl Write for Value<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.push(part.as_bytes());
        Ok(())
    }
}

/// How WARC writes an id.
pub(super) struct Urn(pub(super) DeliveryId);

impl Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<urn:uuid:{}>", self.0)
    }
}
