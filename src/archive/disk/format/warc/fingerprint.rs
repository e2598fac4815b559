//! The field for the fingerprint of a delivery. It cannot be recomputed, because the head in a record is redacted.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::{archive::disk::format::entry::ShortFingerprint, delivery::Fingerprint};

/// In base64, as in the index files: every record has it, and hexadecimal would be 50 % longer.
pub(super) fn print(fingerprint: Fingerprint) -> String {
    STANDARD_NO_PAD.encode(fingerprint.as_bytes())
}

pub(super) fn parse(text: &str) -> Option<Fingerprint> {
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    bytes.try_into().ok().map(Fingerprint::from_bytes)
}

/// Formats the short fingerprint, which is kept for a removed delivery.
pub(super) fn print_short(fingerprint: ShortFingerprint) -> String {
    STANDARD_NO_PAD.encode(fingerprint)
}

pub(super) fn parse_short(text: &str) -> Option<ShortFingerprint> {
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_back_and_nothing_else_is_one() {
        let fingerprint = Fingerprint::from_bytes([0xa5; 32]);
        let text = print(fingerprint);
        assert_eq!((parse(&text), text.len()), (Some(fingerprint), 43));
        for other in ["", &text[1..], &format!("{text}="), &format!("{text}AAAA")] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
