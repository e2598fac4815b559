use std::fmt;

/// The longest description of what was expected that is shown, in characters.
const LONGEST_EXPECTED: usize = 120;

/// What was expected and what kind of thing was found, from the words of an error of serde.
///
/// Those words may quote the body. Only what the type itself said is taken from them, and the kind of what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: &'static str,
}

/// How serde begins to tell what was found, and our word for it.
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
    /// Nothing, where the error is of a kind whose words are not known.
    pub(super) fn of(words: &str) -> Option<Self> {
        let words = words.rsplit_once(" at line ").map_or(words, |(words, _)| words);
        if let Some(rest) = words.strip_prefix("missing field `") {
            return Some(Self::new(format!("the member `{}", shown(rest)), "none"));
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
        // What was found may have the same words in it; what was expected has not.
        let (_, expected) = words.rsplit_once(", expected ")?;
        Some(Self::new(shown(expected), found))
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

fn shown(expected: &str) -> String {
    expected.chars().take(LONGEST_EXPECTED).collect()
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

#[cfg(test)]
mod tests {
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
    fn what_was_expected_and_its_kind_are_told_and_no_value() {
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
