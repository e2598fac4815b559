//! Records of WARC 1.1 (ISO 28500) as the archive writes and reads them. No I/O.

mod checksum;
mod date;
mod decode;
mod encode;
mod fingerprint;
mod header;
mod header_writer;
mod http_head;
mod tombstone;

pub(in crate::archive::disk) use checksum::{Checksum, Salt};
pub(in crate::archive::disk) use date::printable;
pub(in crate::archive::disk) use decode::{
    Kind, LONGEST_NOTE, Meaning, format_in, kind_of, meaning_of, read_delivery, whole_record,
};
#[cfg(test)]
pub(in crate::archive::disk) use encode::warcinfo_of;
pub(in crate::archive::disk) use encode::{Encoded, FORMAT, encode, warcinfo};
pub(in crate::archive::disk) use header::{Flaw, Header, MAGIC, TRAILER};
pub(in crate::archive::disk) use tombstone::MAX_LEDGER_ENTRIES;
