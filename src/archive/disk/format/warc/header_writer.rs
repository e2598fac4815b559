use std::{
    fmt::{self, Display, Write},
    time::SystemTime,
};

use super::{
    checksum::{Checksum, Salt},
    header::{CHECKSUMS, MAGIC},
    values,
};
use crate::delivery::DeliveryId;

/// The maximum length of a field value, in bytes: a little more than the longest URI. It keeps every header within the
/// range in which readers search for its end.
const LONGEST: usize = 66 * 1024;

/// The combined length of the header and the head of a typical request, in bytes, so that a record needs one
/// allocation.
const USUAL: usize = 2048;

/// Writes the header of a record, field by field. The checksums come last.
pub(super) struct HeaderWriter(Vec<u8>);

impl HeaderWriter {
    pub(super) fn new(kind: &str, id: DeliveryId, date: SystemTime) -> Self {
        let mut bytes = Vec::with_capacity(USUAL);
        bytes.extend_from_slice(MAGIC);
        let mut header = Self(bytes);
        header.field("WARC-Type", kind);
        header.field("WARC-Record-ID", Urn(id));
        header.field("WARC-Date", values::print_date(date));
        header
    }

    pub(super) fn field(&mut self, name: &str, value: impl Display) {
        self.begin(name);
        // Fails only if formatting a part of `value` fails, which never happens.
        let _ = write!(Value { bytes: &mut self.0, room: LONGEST }, "{value}");
        self.end();
    }

    /// Writes a field whose value is not necessarily text.
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

    /// Completes the header of a record with this block. Type, length and checksums come last.
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

/// A field value being written. A line break would start another field, and is replaced by a space.
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
        // Without an early exit, so that the loop can be vectorized.
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

/// A delivery id in WARC notation.
pub(super) struct Urn(pub(super) DeliveryId);

impl Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<urn:uuid:{}>", self.0)
    }
}
