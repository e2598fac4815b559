use std::fmt;

use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::json::json_path;

/// The maximum length of a JSON path, in characters.
const LONGEST_PATH: usize = 256;

/// The error of decoding a body: its JSON path and its kind.
///
/// `Display` and `Debug` show the path, the expected type and the kind of the value that was found, never a value.
/// There is no `source()`, because the parser's error can quote the body, and logs often contain the whole chain of
/// errors. [`parser_error`](Self::parser_error) returns it.
pub struct DecodeError {
    path: String,
    kind: Kind,
    mismatch: Option<Mismatch>,
    line: usize,
    column: usize,
    /// Not part of `Display` and `Debug`.
    parser: serde_json::Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Invalid JSON.
    Syntax,
    /// Truncated JSON, or an empty body.
    Truncated,
    /// JSON of an unexpected type.
    Shape,
    /// A payload that failed validation, with the reason.
    Invalid(String),
}

impl DecodeError {
    /// Creates an error at this path; without a path, at the root.
    pub(super) fn new(path: Option<&Path>, parser: serde_json::Error) -> Self {
        Self::at(path.map_or_else(|| json_path::ROOT.to_owned(), shown), parser)
    }

    /// Creates an error at this path, which must be short enough.
    pub(super) fn at(path: String, parser: serde_json::Error) -> Self {
        let mismatch = Mismatch::of(&parser.to_string());
        let kind = match parser.classify() {
            Category::Eof => Kind::Truncated,
            Category::Data => Kind::Shape,
            // Valid JSON that the parser does not accept: large numbers and deep nesting.
            Category::Syntax if mismatch.is_some() => Kind::Shape,
            Category::Syntax | Category::Io => Kind::Syntax,
        };
        let (line, column) = (parser.line(), parser.column());
        Self { path, kind, mismatch, line, column, parser }
    }

    /// Creates an error for a payload that was parsed but is invalid, such as in
    /// [`ModelBuilder::validated_by`](super::ModelBuilder::validated_by) or [`Payload::decode`](super::Payload::decode).
    ///
    /// `path` is the JSON path of the invalid value, such as `$.total`. `reason` states the problem. Both are
    /// logged and archived: do not include values of the payload. They are truncated to 256 characters, and control
    /// characters are removed.
    ///
    /// ```
    /// use tower_inbox::provider::DecodeError;
    ///
    /// let error = DecodeError::invalid("$.total", "must not be negative");
    /// assert_eq!(error.to_string(), "the payload is invalid, at $.total: must not be negative");
    /// ```
    pub fn invalid(path: impl AsRef<str>, reason: impl AsRef<str>) -> Self {
        let printable = |text: &str| -> String {
            text.chars().filter(|c| !c.is_control()).take(LONGEST_PATH).collect()
        };
        let (path, reason) = (printable(path.as_ref()), printable(reason.as_ref()));
        let parser = serde::de::Error::custom(&reason);
        let (line, column) = (0, 0);
        Self { path, kind: Kind::Invalid(reason), mismatch: None, line, column, parser }
    }

    /// Returns whether the error has a position in the text. Errors of values that were parsed before have none.
    pub(super) fn is_of_text(&self) -> bool {
        self.line > 0
    }

    /// Returns the JSON path of the error; `$` is the whole document. At most 256 characters.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the expected type, such as `f64` or ``the member `id` ``. `None` if the body is not JSON, and for custom
    /// errors of your own types.
    pub fn expected(&self) -> Option<&str> {
        Some(&self.mismatch.as_ref()?.expected)
    }

    /// Returns the kind of the value that was found, such as `a string`. Never a part of the body.
    pub fn found(&self) -> Option<&'static str> {
        Some(self.mismatch.as_ref()?.found)
    }

    /// Returns the parser's error. It can quote a value of the body, such as a token or a signed URL: keep it out of
    /// logs.
    pub fn parser_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &self.parser
    }
}

/// Formats a path, truncated for logs.
fn shown(path: &Path) -> String {
    let mut text = json_path::ROOT.to_owned();
    for segment in path {
        match segment {
            Segment::Seq { index } => json_path::push_index(&mut text, *index),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                json_path::push_name(&mut text, key);
            }
            Segment::Unknown => {}
        }
    }
    text.chars().take(LONGEST_PATH).collect()
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.kind {
            Kind::Invalid(reason) => {
                return write!(f, "the payload is invalid, at {}: {reason}", self.path);
            }
            Kind::Syntax => "the body is not JSON",
            Kind::Truncated => "the body ends too early",
            Kind::Shape => "the body does not have the shape of the model's type",
        };
        write!(f, "{what}, at {}", self.path)?;
        // Unknown for values that were parsed before.
        if self.is_of_text() {
            write!(f, ", line {} column {}", self.line, self.column)?;
        }
        match &self.mismatch {
            Some(mismatch) => write!(f, ": {mismatch}"),
            None => Ok(()),
        }
    }
}

/// Shows the parts of `Display`, for `unwrap` and `{:?}`.
impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("path", &self.path)
            .field("kind", &self.kind)
            .field("mismatch", &self.mismatch)
            .field("line", &self.line)
            .field("column", &self.column)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for DecodeError {}

/// The maximum length of the expected type, in characters.
const LONGEST_EXPECTED: usize = 120;

/// The expected type and the kind of the value that was found, parsed from an error message of serde.
///
/// The message can quote the body. Only the expected type and the kind of the value are taken from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: &'static str,
}

/// The names of kinds in messages of serde, and in ours.
const KINDS: [(&str, &str); 9] = [
    ("string", "a string"),
    ("integer", "an integer"),
    ("floating point", "a number with a decimal point"),
    ("boolean", "a boolean"),
    ("null", "null"),
    ("map", "an object"),
    ("sequence", "an array"),
    ("byte array", "bytes"),
    ("Option", "a value"),
];

impl Mismatch {
    /// Returns `None` for unknown messages.
    pub(super) fn of(words: &str) -> Option<Self> {
        let words = words.rsplit_once(" at line ").map_or(words, |(words, _)| words);
        if let Some(rest) = words.strip_prefix("missing field `") {
            return Some(Self::new(format!("the member `{}", truncated(rest)), "none"));
        }
        if words.starts_with("duplicate field") {
            return Some(Self::new("each member once", "a repeated one"));
        }
        if words.starts_with("number out of range") {
            return Some(Self::new("a number that can be held", "a number out of range"));
        }
        if words.starts_with("recursion limit exceeded") {
            return Some(Self::new("less than 128 levels", "deeper nesting"));
        }
        let found = found(words)?;
        // The value that was found can contain the same words; the expected type cannot.
        let (_, expected) = words.rsplit_once(", expected ")?;
        Some(Self::new(truncated(expected), found))
    }

    fn new(expected: impl Into<String>, found: &'static str) -> Self {
        Self { expected: expected.into(), found }
    }
}

fn found(words: &str) -> Option<&'static str> {
    let (what, rest) = words.split_once(' ')?;
    match (what, rest) {
        ("unknown", rest) if rest.starts_with("variant ") => Some("an unknown word"),
        ("unknown", rest) if rest.starts_with("field ") => Some("an unknown member"),
        ("invalid", rest) if rest.starts_with("length ") => Some("another length"),
        ("invalid", rest) => kind(rest.strip_prefix("type: ").or(rest.strip_prefix("value: "))?),
        _ => None,
    }
}

fn kind(words: &str) -> Option<&'static str> {
    KINDS.iter().find_map(|(theirs, ours)| words.starts_with(theirs).then_some(*ours))
}

fn truncated(expected: &str) -> String {
    expected.chars().take(LONGEST_EXPECTED).collect()
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

#[cfg(test)]
mod error_tests {
    use std::collections::HashMap;

    use super::*;

    fn path_in(json: &str) -> String {
        type Nested = HashMap<String, Vec<HashMap<String, u8>>>;
        let mut json = serde_json::Deserializer::from_str(json);
        shown(serde_path_to_error::deserialize::<_, Nested>(&mut json).unwrap_err().path())
    }

    #[test]
    fn json_paths_start_at_the_root_and_are_truncated_and_escaped() {
        assert_eq!(path_in(""), "$");
        assert_eq!(path_in(r#"{"a_1": [{}, {"b": -1}]}"#), "$.a_1[1].b");
        assert_eq!(path_in(r#"{"a": [{"b c'\n": -1}]}"#), r"$.a[0]['b c\'\n']");
        assert_eq!(path_in(r#"{"": 1}"#), "$['']");
        let long = format!(r#"{{"{}": 1}}"#, "é".repeat(1000));
        assert_eq!(path_in(&long).chars().count(), LONGEST_PATH);
    }

    #[test]
    fn number_out_of_range_and_deep_nesting_are_errors_of_shape() {
        for json in ["1e400".to_owned(), "[".repeat(200)] {
            let error = serde_json::from_str::<serde_json::Value>(&json).unwrap_err();
            let error = DecodeError::new(None, error);
            assert!(error.to_string().contains("does not have the shape"), "{error}");
        }
    }

    #[test]
    fn only_the_parser_error_contains_a_value() {
        let error = serde_json::from_str::<u8>("\"hunter2\"").unwrap_err();
        let error = DecodeError::new(None, error);
        assert!(!format!("{error:?} {error:#?}").contains("hunter2"));
        assert_eq!(
            error.to_string(),
            "the body does not have the shape of the model's type, at $, line 1 column 9: expected u8, found a string"
        );
        assert_eq!((error.expected(), error.found()), (Some("u8"), Some("a string")));
        assert!(std::error::Error::source(&error).is_none());
        assert!(error.parser_error().to_string().contains("hunter2"));
    }
}

#[cfg(test)]
mod mismatch_tests {
    use serde::{Deserialize, de::DeserializeOwned};

    use super::*;

    #[derive(Debug, Deserialize)]
    enum Word {
        One,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what cannot be read counts here")]
    struct Thing {
        size: u8,
    }

    fn told<T: DeserializeOwned>(json: &str) -> String {
        let error = serde_json::from_str::<T>(json).map(drop).unwrap_err();
        Mismatch::of(&error.to_string()).map_or_else(|| "?".into(), |told| told.to_string())
    }

    #[test]
    fn mismatch_contains_expected_type_and_kind_and_no_value() {
        assert_eq!(told::<u8>("\"pw, expected pw\""), "expected u8, found a string");
        assert_eq!(told::<u8>("300"), "expected u8, found an integer");
        assert_eq!(told::<u8>("0.5"), "expected u8, found a number with a decimal point");
        assert_eq!(told::<u8>("null"), "expected u8, found null");
        assert_eq!(told::<u8>("[]"), "expected u8, found an array");
        assert_eq!(told::<[u8; 2]>("[1]"), "expected an array of length 2, found another length");
        assert_eq!(told::<Word>("\"pw\""), "expected `One`, found an unknown word");
        assert!(matches!(serde_json::from_str("\"One\"").unwrap(), Word::One));
        assert_eq!(told::<Thing>("{}"), "expected the member `size`, found none");
        assert_eq!(
            told::<Thing>(r#"{"size": 1, "size": 1}"#),
            "expected each member once, found a repeated one"
        );
        assert_eq!(
            told::<f64>("1e400"),
            "expected a number that can be held, found a number out of range"
        );
        assert_eq!(
            told::<serde_json::Value>(&"[".repeat(200)),
            "expected less than 128 levels, found deeper nesting"
        );
        assert_eq!(told::<u8>("pw"), "?");
    }
}
