use std::fmt;

use crate::signature::body_form::without_line_breaks;

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
}

impl BodyChange {
    pub(super) const ALL: [Self; 3] =
        [Self::WithoutLastLineBreak, Self::WithLastLineFeed, Self::WithoutLineBreaks];

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
        }
    }
}

impl fmt::Display for BodyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WithoutLineBreaks => "without the line breaks of the body",
            Self::WithoutLastLineBreak => "without the line break at the end of the body",
            Self::WithLastLineFeed => "with a line feed at the end of the body",
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
        assert_eq!(changed(b"{}"), [None, some(b"{}\n"), None]);
        assert_eq!(changed(b"{\n}\r\n"), [some(b"{\n}"), some(b"{\n}\r\n\n"), some(b"{}")]);
        assert_eq!(changed(b"{}\n"), [some(b"{}"), some(b"{}\n\n"), None]);
        assert_eq!(changed(b""), [None, some(b"\n"), None]);
    }
}
