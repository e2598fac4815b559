//! Records of WARC 1.1 (ISO 28500) as the archive writes and reads them. No I/O.

mod checksum;
mod decode;
mod encode;
mod header;
mod header_writer;
mod http_head;
mod tombstone;
mod values;

pub(in crate::archive::disk) use checksum::{Checksum, Salt};
pub(in crate::archive::disk) use decode::{
    Kind, LONGEST_NOTE, Meaning, date_of, format_in, kind_of, meaning_of, read_delivery,
    whole_record,
};
#[cfg(test)]
pub(in crate::archive::disk) use encode::warcinfo_of;
pub(in crate::archive::disk) use encode::{Encoded, FORMAT, encode, warcinfo};
pub(in crate::archive::disk) use header::{Flaw, Header, MAGIC, TRAILER};
pub(in crate::archive::disk) use tombstone::MAX_LEDGER_ENTRIES;
pub(in crate::archive::disk) use values::printable;
