use super::checksum::{Checksum, Salt};

/// The first bytes of every record.
pub(in crate::archive::disk) const MAGIC: &[u8] = b"WARC/1.1\r\n";

/// The last bytes of every record.
pub(in crate::archive::disk) const TRAILER: &[u8] = b"\r\n\r\n";

/// The last field of a header: the checksum of the preceding bytes, and the checksum that also includes the block.
pub(super) const CHECKSUMS: &str = "Inbox-CRC32";

/// The header of a record, with a valid checksum of its own: its length can be trusted.
#[derive(Debug)]
pub(in crate::archive::disk) struct Header<'b> {
    bytes: &'b [u8],
    fields: Fields<'b>,
    content_length: u64,
    /// The number of bytes of the header that its checksums cover.
    covered: usize,
    /// The checksum over the covered bytes and the block.
    record_checksum: u32,
}

/// The reason why bytes are not the header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive::disk) enum Flaw {
    /// The bytes end before the header does.
    Cut,
    /// The bytes are not a header, or are damaged.
    Malformed,
}

impl<'b> Header<'b> {
    /// Parses the header at the start of `bytes`, which may continue after it.
    pub(in crate::archive::disk) fn parse(bytes: &'b [u8], salt: Salt) -> Result<Self, Flaw> {
        let (fields, rest) = fields_in(after_magic(bytes)?)?;
        let length = bytes.len() - rest.len();
        let header = bytes.get(..length).ok_or(Flaw::Malformed)?;
        Self::check(header, fields, salt).ok_or(Flaw::Malformed)
    }

    fn check(bytes: &'b [u8], fields: Fields<'b>, salt: Salt) -> Option<Self> {
        let (last, before) = fields.split_last()?;
        let digits = text(named(last, CHECKSUMS)?)?;
        let (header, record) = digits.split_once(' ')?;
        let (header, record_checksum) = (checksum(header)?, checksum(record)?);
        let line = CHECKSUMS.len() + ": ".len() + digits.len() + "\r\n".len();
        let covered = bytes.len().checked_sub(line + "\r\n".len())?;
        let content_length = text(named(before.last()?, "Content-Length")?)?.parse().ok()?;
        let holds = Checksum::new(salt).with(bytes.get(..covered)?).finish() == header;
        holds.then_some(Self { bytes, fields, content_length, covered, record_checksum })
    }

    /// Returns the length of the header, including the blank line, in bytes.
    pub(in crate::archive::disk) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the length of the block, in bytes.
    pub(in crate::archive::disk) fn content_length(&self) -> u64 {
        self.content_length
    }

    /// Returns the length of the record, including its trailer, in bytes.
    pub(in crate::archive::disk) fn record_length(&self) -> Option<u64> {
        let framing = self.len() as u64 + TRAILER.len() as u64;
        self.content_length.checked_add(framing)
    }

    /// Returns the expected checksum of the whole record.
    pub(in crate::archive::disk) fn expected(&self) -> u32 {
        self.record_checksum
    }

    /// Starts the checksum of the whole record, with everything before the block.
    pub(in crate::archive::disk) fn begin_checksum(&self, salt: Salt) -> Checksum {
        let covered = self.bytes.get(..self.covered);
        Checksum::new(salt).with(covered.unwrap_or_default())
    }

    /// Returns the first field with this name.
    pub(super) fn raw(&self, name: &str) -> Option<&'b [u8]> {
        self.all(name).next()
    }

    /// Returns the first field with this name, as text.
    pub(in crate::archive::disk) fn text(&self, name: &str) -> Option<&'b str> {
        text(self.raw(name)?)
    }

    /// Returns every field with this name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.fields.iter().filter_map(move |field| named(field, name))
    }
}

fn after_magic(bytes: &[u8]) -> Result<&[u8], Flaw> {
    let flaw = if MAGIC.starts_with(bytes) { Flaw::Cut } else { Flaw::Malformed };
    bytes.strip_prefix(MAGIC).ok_or(flaw)
}

/// Name and value.
type Field<'b> = (&'b [u8], &'b [u8]);

pub(super) type Fields<'b> = Vec<Field<'b>>;

/// Returns the fields up to the blank line, and the bytes after it.
pub(super) fn fields_in(mut rest: &[u8]) -> Result<(Fields<'_>, &[u8]), Flaw> {
    let mut fields = Vec::with_capacity(16);
    loop {
        let (line, behind) = split_once(rest, b"\r\n").ok_or(Flaw::Cut)?;
        rest = behind;
        if line.is_empty() {
            return Ok((fields, rest));
        }
        fields.push(split_once(line, b": ").ok_or(Flaw::Malformed)?);
    }
}

/// Returns the bytes before and after the first `separator`.
pub(super) fn split_once<'b>(bytes: &'b [u8], separator: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let place = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((bytes.get(..place)?, bytes.get(place + separator.len()..)?))
}

fn named<'b>((name, value): &Field<'b>, wanted: &str) -> Option<&'b [u8]> {
    (*name == wanted.as_bytes()).then_some(value)
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

/// Exactly eight lowercase hexadecimal digits, so that the encoding of a header is unique.
fn checksum(digits: &str) -> Option<u32> {
    let checksum = u32::from_str_radix(digits, 16).ok()?;
    (format!("{checksum:08x}") == digits).then_some(checksum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{archive::disk::format::warc::header_writer::HeaderWriter, delivery::DeliveryId};

    fn header(salt: Salt) -> Vec<u8> {
        let writer = HeaderWriter::new("metadata", DeliveryId::new(), std::time::UNIX_EPOCH);
        writer.finish("text/plain", salt, [b"ab", b"c"])
    }

    #[test]
    fn a_header_reads_back() {
        let salt = Salt::random();
        let bytes = [header(salt), b"abc\r\n\r\n".to_vec()].concat();
        let header = Header::parse(&bytes, salt).unwrap();
        assert_eq!(header.record_length(), Some(bytes.len() as u64));
        assert_eq!(header.text("WARC-Type"), Some("metadata"));
        assert_eq!(header.begin_checksum(salt).with(b"abc").finish(), header.expected());
    }

    #[test]
    fn truncated_header_is_distinguished_from_a_damaged_one() {
        let salt = Salt::random();
        let bytes = header(salt);
        for end in 0..bytes.len() {
            assert_eq!(Header::parse(&bytes[..end], salt).unwrap_err(), Flaw::Cut, "{end}");
        }
        assert_eq!(Header::parse(&bytes, Salt::random()).unwrap_err(), Flaw::Malformed);
        assert_eq!(Header::parse(b"HTTP/1.1\r\n", salt).unwrap_err(), Flaw::Malformed);
    }
}
