//! Records of WARC 1.1 (ISO 28500) as the archive writes and reads them. No I/O.

mod checksum;
mod date;
mod decode;
mod encode;
mod header;
mod header_writer;
mod http_head;

pub(super) use checksum::{Checksum, Salt};
pub(super) use decode::{Kind, format_in, kind_of, outcome_in, read_delivery};
#[cfg(test)]
pub(super) use encode::warcinfo_of;
pub(super) use encode::{Encoded, FORMAT, encode, warcinfo};
pub(super) use header::{Flaw, Header, MAGIC, TRAILER};
