use std::fmt;

use serde_json::error::Category;

/// The longest JSON path that is shown, in characters.
const LONGEST_PATH: usize = 256;

/// A body that could not be loaded into its type: where, and what kind of mistake.
///
/// `Display` shows the path and the kind, never a value. The `source()` is the parser's own error, which may quote a
/// value of the body: keep it out of logs that outlive the archive.
#[derive(Debug)]
pub struct DecodeError {
    path: String,
    kind: Kind,
    line: usize,
    column: usize,
    source: serde_json::Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Not JSON at all.
    Syntax,
    /// JSON that ends too early, or nothing.
    Truncated,
    /// JSON of another shape.
    Shape,
}

impl DecodeError {
    /// A mistake of the parser at this path, in the notation of `serde_path_to_error`: `.` for the root.
    pub(super) fn new(path: &str, source: serde_json::Error) -> Self {
        let kind = match source.classify() {
            Category::Eof => Kind::Truncated,
            Category::Data => Kind::Shape,
            Category::Syntax | Category::Io => Kind::Syntax,
        };
        let (line, column) = (source.line(), source.column());
        Self { path: json_path(path), kind, line, column, source }
    }

    /// Where in the document, from `$` for the whole. At most 256 characters.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Puts `$` for the root, and replaces what a log should not see.
fn json_path(path: &str) -> String {
    let separator = if path.starts_with(['.', '[']) { "" } else { "." };
    let path = if path == "." { "" } else { path };
    let separator = if path.is_empty() { "" } else { separator };
    let clean = path.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    "$".chars().chain(separator.chars()).chain(clean).take(LONGEST_PATH).collect()
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            Kind::Syntax => "the body is not JSON",
            Kind::Truncated => "the body ends too early",
            Kind::Shape => "the body does not have the shape of the model's type",
        };
        write!(f, "{what}, at {}, line {} column {}", self.path, self.line, self.column)
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_root_and_are_short_and_clean() {
        assert_eq!(json_path("."), "$");
        assert_eq!(json_path(""), "$");
        assert_eq!(json_path("inference.result"), "$.inference.result");
        assert_eq!(json_path("[0].a"), "$[0].a");
        assert_eq!(json_path("a\r\nb"), "$.a\u{fffd}\u{fffd}b");
        assert_eq!(json_path(&"x".repeat(1000)).chars().count(), LONGEST_PATH);
    }

    #[test]
    fn display_shows_no_value_and_source_is_kept() {
        let error = serde_json::from_str::<u8>("\"hunter2\"").unwrap_err();
        let error = DecodeError::new("a.b", error);
        assert!(!error.to_string().contains("hunter2"));
        assert!(error.to_string().contains("$.a.b"));
        assert!(std::error::Error::source(&error).is_some());
    }
}
