use std::sync::Arc;

use percent_encoding::percent_decode_str;

/// What the captures of a model's path matched, decoded: for `/hooks/property/{reference}`, the `reference`.
///
/// In the request's extensions, and with feature `axum` an extractor. The values come from whoever posted: they are
/// text, not file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures(Arc<[(Box<str>, Box<str>)]>);

impl Captures {
    /// What the capture `name` matched.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All captures, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Decodes the values; `None` if one is not UTF-8.
    pub(crate) fn decode<'a>(encoded: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        encoded
            .map(|(name, value)| {
                let value = percent_decode_str(value).decode_utf8().ok()?;
                Some((name.into(), value.into()))
            })
            .collect::<Option<_>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let captures = Captures::decode([("a", "x%2Fy%2520")].into_iter()).unwrap();
        assert_eq!(captures.get("a"), Some("x/y%20"));
        assert_eq!(captures.get("b"), None);
    }

    #[test]
    fn what_is_not_utf8_matches_nothing() {
        assert_eq!(Captures::decode([("a", "%FF")].into_iter()), None);
    }
}
