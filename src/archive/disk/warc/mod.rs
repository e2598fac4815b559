//! Records of WARC 1.1 (ISO 28500) as the archive writes and reads them. No I/O.

mod checksum;
mod date;
mod decode;
mod encode;
mod fingerprint;
mod header;
mod header_writer;
mod http_head;
mod meaning;
mod tombstone;

pub(super) use checksum::{Checksum, Salt};
pub(super) use date::printable;
pub(super) use decode::{Kind, format_in, kind_of, read_delivery};
#[cfg(test)]
pub(super) use encode::warcinfo_of;
pub(super) use encode::{Encoded, FORMAT, encode, warcinfo};
pub(super) use header::{Flaw, Header, MAGIC, TRAILER};
pub(super) use meaning::{LONGEST_NOTE, Meaning, meaning_of, whole_record};
pub(super) use tombstone::MAX_LEDGER_ENTRIES;
