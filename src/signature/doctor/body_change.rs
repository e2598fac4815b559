use std::fmt;

use crate::{delivery::decompress_as_any, signature::body_form::without_line_breaks};

/// The longest body that is unzipped, in bytes: a few bytes of gzip may become any number of bytes.
const LONGEST: usize = 32 << 20;

/// A change to a body that happens between a sender's signature and a receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyChange {
    /// Without any carriage return and line feed.
    WithoutLineBreaks,
    /// Without the line break at the end.
    WithoutLastLineBreak,
    /// With a line feed at the end.
    WithLastLineFeed,
    /// Unzipped, where it came as gzip or deflate: the sender has signed what it zipped then. Up to 32 MiB of it. The other way, a
    /// proxy that unzips what was signed zipped, leaves nothing that could be tried.
    Unzipped,
}

impl BodyChange {
    pub(super) const ALL: [Self; 4] = [
        Self::WithoutLastLineBreak,
        Self::WithLastLineFeed,
        Self::WithoutLineBreaks,
        Self::Unzipped,
    ];

    /// The changed body; `None` if it would stay as it is, or become what another change makes of it.
    pub(super) fn apply(self, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::WithoutLineBreaks => without_line_breaks(body)
                .filter(|joined| Some(joined) != Self::WithoutLastLineBreak.apply(body).as_ref()),
            Self::WithoutLastLineBreak => {
                let cut = body.strip_suffix(b"\n")?;
                Some(cut.strip_suffix(b"\r").unwrap_or(cut).to_vec())
            }
            Self::WithLastLineFeed => Some([body, b"\n"].concat()),
            Self::Unzipped => decompress_as_any(body, LONGEST),
        }
    }
}

impl fmt::Display for BodyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WithoutLineBreaks => "without the line breaks of the body",
            Self::WithoutLastLineBreak => "without the line break at the end of the body",
            Self::WithLastLineFeed => "with a line feed at the end of the body",
            Self::Unzipped => "with the body unzipped",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_changes_nothing_new_is_none() {
        let changed = |body: &[u8]| BodyChange::ALL.map(|change| change.apply(body));
        let some = |body: &[u8]| Some(body.to_vec());
        assert_eq!(changed(b"{}"), [None, some(b"{}\n"), None, None]);
        assert_eq!(changed(b"{\n}\r\n"), [some(b"{\n}"), some(b"{\n}\r\n\n"), some(b"{}"), None]);
        assert_eq!(changed(b"{}\n"), [some(b"{}"), some(b"{}\n\n"), None, None]);
        assert_eq!(changed(b""), [None, some(b"\n"), None, None]);
    }

    #[test]
    fn what_is_zipped_is_unzipped_unless_it_becomes_too_much() {
        use std::io::Write;
        let zip = |bytes: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(bytes).unwrap();
            gzip.finish().unwrap()
        };
        assert_eq!(BodyChange::Unzipped.apply(&zip(b"{}")), Some(b"{}".to_vec()));
        assert_eq!(BodyChange::Unzipped.apply(&zip(b"{}")[..10]), None, "it is cut off");
        assert_eq!(BodyChange::Unzipped.apply(&zip(&vec![0; (32 << 20) + 1])), None);
    }
}
