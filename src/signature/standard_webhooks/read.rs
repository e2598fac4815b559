use http::{HeaderMap, HeaderName};

use super::names::Names;
use crate::signature::{Place, SignatureError};

/// The headers of a message, as they were sent.
pub(super) struct Presented<'h> {
    pub(super) id: &'h str,
    pub(super) timestamp: &'h [u8],
    signatures: &'h [u8],
}

impl<'h> Presented<'h> {
    pub(super) fn of(headers: &'h HeaderMap, names: &Names) -> Result<Self, SignatureError> {
        let read = |name: &HeaderName| {
            Place::from(name).single(headers.get_all(name)).map(http::HeaderValue::as_bytes)
        };
        let expected = || Place::from(&names.id).malformed("a text without a time at its end");
        let id = std::str::from_utf8(read(&names.id)?).map_err(|_| expected())?;
        if is_ambiguous(id.as_bytes()) {
            return Err(expected());
        }
        Ok(Self { id, timestamp: read(&names.timestamp)?, signatures: read(&names.signature)? })
    }

    /// The encoded signatures of this version.
    pub(super) fn of_version(&self, version: &str) -> impl Iterator<Item = &'h [u8]> {
        self.signatures
            .split(|byte| *byte == b' ')
            .filter_map(move |entry| entry.strip_prefix(version.as_bytes())?.strip_prefix(b","))
    }
}

/// `a.1` would let anybody take the time of a signed message for a part of its id, and the digits that its body begins
/// with for its time. The specification forbids full stops there; only what can be abused is refused.
fn is_ambiguous(id: &[u8]) -> bool {
    let last = id.iter().rposition(|byte| *byte == b'.').and_then(|dot| id.get(dot + 1..));
    id.is_empty() || last.is_some_and(|last| last.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_end_in_a_time_is_ambiguous() {
        for id in ["", "msg.1614265330", "a.b.1", "msg."] {
            assert!(is_ambiguous(id.as_bytes()), "{id:?}");
        }
        for id in ["msg_1", "1614265330", "a.b", "a.1.b", "a.1x"] {
            assert!(!is_ambiguous(id.as_bytes()), "{id:?}");
        }
    }

    #[test]
    fn entries_are_told_by_their_whole_version() {
        let signatures = b"v1,a v1a,b v2,c v1 ,d v1,,e  v1,f";
        let presented = Presented { id: "", timestamp: b"", signatures };
        let entries = |version| presented.of_version(version).collect::<Vec<_>>();
        assert_eq!(entries("v1"), [&b"a"[..], b",e", b"f"]);
        assert_eq!(entries("v1a"), [b"b"]);
        assert!(entries("v3").is_empty());
    }
}
