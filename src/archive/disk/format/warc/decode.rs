use std::time::SystemTime;

use bytes::Bytes;
use http::Version;

use super::{
    checksum::Salt,
    encode::{LEASED, REMOVES, protocol},
    header::{Header, TRAILER},
    http_head::{Framing, Parsed, model_in, read},
    tombstone, values,
};
use crate::{
    archive::disk::format::entry::{DeliveryMeta, Tombstone, short},
    delivery::{Delivery, DeliveryId, Digest, Fingerprint, Head, ModelName, State},
};

/// The kind of a record.
#[derive(Debug)]
pub(in crate::archive::disk) enum Kind {
    Delivery {
        meta: DeliveryMeta,
        leased: bool,
    },
    /// A state, a removal, or the ledger entry of a removed delivery.
    Note {
        of: DeliveryId,
    },
    /// The record at the start of a segment, or a record kind of a later version.
    Other,
}

impl Kind {
    /// Returns the metadata of the delivery, if the record is one.
    pub(in crate::archive::disk) fn meta(self) -> Option<DeliveryMeta> {
        match self {
            Self::Delivery { meta, .. } => Some(meta),
            Self::Note { .. } | Self::Other => None,
        }
    }
}

/// Returns the kind of a record from its header.
pub(in crate::archive::disk) fn kind_of(header: &Header<'_>) -> Kind {
    let kind = match header.text("WARC-Type") {
        Some("request") => delivery_in(header),
        Some("metadata") => id_in(header, "WARC-Refers-To").map(|of| Kind::Note { of }),
        _ => None,
    };
    kind.unwrap_or(Kind::Other)
}

fn delivery_in(header: &Header<'_>) -> Option<Kind> {
    let meta = DeliveryMeta {
        id: id_in(header, "WARC-Record-ID")?,
        model: model(header)?,
        fingerprint: short(fingerprint_in(header)?),
        received_at: values::parse_date(header.text("WARC-Date")?)?,
    };
    Some(Kind::Delivery { meta, leased: header.raw(LEASED).is_some() })
}

/// Returns the state in the block of a note, if it records one.
pub(super) fn state_in(block: &str) -> Option<State> {
    let (line, _) = block.split_once("\r\n")?;
    line.strip_prefix("state: ")?.parse().ok()
}

/// Returns the deliveries that the block of a note removes, if it is a removal.
pub(super) fn removal_in(block: &str) -> Option<Vec<DeliveryId>> {
    let (first, ids) = block.split_once("\r\n")?;
    let ids = (first == REMOVES).then_some(ids)?;
    ids.split_terminator("\r\n").map(|id| id.parse().ok()).collect()
}

/// Returns the format of a segment that starts with these bytes; `None` if it cannot be determined, as for a damaged
/// segment.
pub(in crate::archive::disk) fn format_in(start: &[u8], salt: Salt) -> Option<u32> {
    let header = Header::parse(start, salt).ok()?;
    let length = usize::try_from(header.content_length()).ok()?;
    let block = start.get(header.len()..header.len().checked_add(length)?)?;
    // A single flipped bit must not make the whole archive look newer.
    let holds = header.begin_checksum(salt).with(block).finish() == header.expected();
    let lines = std::str::from_utf8(block).ok().filter(|_| holds)?;
    let info = header.text("WARC-Type") == Some("warcinfo");
    lines
        .lines()
        .filter(|_| info)
        .find_map(|line| line.strip_prefix("inbox-format: "))?
        .parse()
        .ok()
}

/// Reads the delivery in a complete record, and verifies every checksum. The body shares the bytes of the record.
pub(in crate::archive::disk) fn read_delivery(
    record: &Bytes,
    salt: Salt,
) -> Result<Delivery, &'static str> {
    let header = Header::parse(record, salt).map_err(|_| "the header of the record")?;
    let block = record.get(header.len()..).and_then(|rest| rest.strip_suffix(TRAILER));
    let block = block
        .filter(|block| block.len() as u64 == header.content_length())
        .ok_or("the length of the record")?;
    if header.begin_checksum(salt).with(block).finish() != header.expected() {
        return Err("the checksum of the record does not hold");
    }
    let delivery = assemble(record, &header, block).ok_or("the record is no delivery")?;
    match digest_in(&header) {
        Some(digest) if digest == delivery.digest() => Ok(delivery),
        _ => Err("the digest of the body does not hold"),
    }
}

fn assemble(record: &Bytes, header: &Header<'_>, block: &[u8]) -> Option<Delivery> {
    let framing = Framing {
        added: header.raw("Inbox-Content-Length").is_some(),
        left_out: header.all("Inbox-Header").map(<[u8]>::to_vec).collect(),
    };
    let Parsed { method, uri, headers, body } = read(block, &framing)?;
    let peer = match header.text("Inbox-Peer") {
        Some(peer) => Some(peer.parse().ok()?),
        None => None,
    };
    let head = Head::from_archive(method, uri, version(header), headers, host(header), peer);
    Some(Delivery::from_archive(
        id_in(header, "WARC-Record-ID")?,
        model(header)?,
        head,
        record.slice_ref(body),
        values::parse_date(header.text("WARC-Date")?)?,
        header.text("Inbox-Proof")?.parse().ok()?,
        fingerprint_in(header)?,
    ))
}

fn host(header: &Header<'_>) -> Option<String> {
    if header.raw("Inbox-Host").is_some() {
        return None;
    }
    Some(target(header)?.0.to_owned())
}

/// Returns the host, and the path with query, starting at its slash.
fn target<'h>(header: &Header<'h>) -> Option<(&'h str, &'h str)> {
    let uri = header.text("WARC-Target-URI")?.strip_prefix("http://")?;
    uri.split_at_checked(uri.find('/')?)
}

/// The model has its own field if its name differs from the path.
fn model(header: &Header<'_>) -> Option<ModelName> {
    let named = header.text("Inbox-Model");
    named.or_else(|| model_in(target(header)?.1))?.parse().ok()
}

fn version(header: &Header<'_>) -> Version {
    let named = header.text("WARC-Protocol");
    [Version::HTTP_09, Version::HTTP_10, Version::HTTP_2, Version::HTTP_3]
        .into_iter()
        .find(|version| named.is_some() && protocol(*version) == named)
        .unwrap_or(Version::HTTP_11)
}

fn id_in(header: &Header<'_>, name: &str) -> Option<DeliveryId> {
    header.text(name)?.strip_prefix("<urn:uuid:")?.strip_suffix('>')?.parse().ok()
}

fn digest_in(header: &Header<'_>) -> Option<Digest> {
    header.text("WARC-Payload-Digest")?.strip_prefix("sha256:")?.parse().ok()
}

/// The fingerprint is stored, because the target of the record is redacted.
fn fingerprint_in(header: &Header<'_>) -> Option<Fingerprint> {
    values::parse_fingerprint(header.text("Inbox-Fingerprint")?)
}

/// The maximum length of a note's block that is read, in bytes. The largest removal has 39 KB.
pub(in crate::archive::disk) const LONGEST_NOTE: u64 = 64 * 1024;

/// The effect of a record on the index.
#[derive(Debug)]
pub(in crate::archive::disk) enum Meaning {
    Delivery { meta: DeliveryMeta, leased: bool },
    State { of: DeliveryId, state: State },
    Removal(Vec<DeliveryId>),
    Removed(Vec<Tombstone>),
    Nothing,
}

/// Returns the effect of a record of this kind. The block is not needed for a delivery.
pub(in crate::archive::disk) fn meaning_of(kind: Kind, block: &[u8]) -> Meaning {
    match kind {
        Kind::Delivery { meta, leased } => Meaning::Delivery { meta, leased },
        Kind::Note { of } => std::str::from_utf8(block)
            .map_or(Meaning::Nothing, |block| note_in(of, block).unwrap_or(Meaning::Nothing)),
        Kind::Other => Meaning::Nothing,
    }
}

fn note_in(of: DeliveryId, block: &str) -> Option<Meaning> {
    state_in(block)
        .map(|state| Meaning::State { of, state })
        .or_else(|| removal_in(block).map(Meaning::Removal))
        .or_else(|| tombstone::parse(block).map(Meaning::Removed))
}

/// Returns the time in the header of a record.
pub(in crate::archive::disk) fn date_of(record: &[u8], salt: Salt) -> Option<SystemTime> {
    values::parse_date(Header::parse(record, salt).ok()?.text("WARC-Date")?)
}

/// Returns the effect of a complete record; `None` if its checksums do not match.
pub(in crate::archive::disk) fn whole_record(record: &[u8], salt: Salt) -> Option<Meaning> {
    let header = Header::parse(record, salt).ok()?;
    let block = record.get(header.len()..)?.strip_suffix(TRAILER)?;
    let holds = block.len() as u64 == header.content_length()
        && header.begin_checksum(salt).with(block).finish() == header.expected();
    holds.then(|| meaning_of(kind_of(&header), block))
}
