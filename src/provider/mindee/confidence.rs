use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How sure the model is of a field (page "Automation and confidence score").
///
/// Null or absent unless the option is on. Words that are not known yet are kept as they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Confidence {
    /// Nearly always right.
    Certain,
    /// Mostly right.
    High,
    /// Worth a look.
    Medium,
    /// Likely wrong. Not in Mindee's `OpenAPI`, but in its documentation and fixtures.
    Low,
    /// Another word.
    Other(Box<str>),
}

impl Confidence {
    /// The word for it, as Mindee writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Certain => "Certain",
            Self::High => "High",
            Self::Medium => "Medium",
            Self::Low => "Low",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for Confidence {
    fn from(word: &str) -> Self {
        match word {
            "Certain" => Self::Certain,
            "High" => Self::High,
            "Medium" => Self::Medium,
            "Low" => Self::Low,
            other => Self::Other(other.into()),
        }
    }
}

impl<'de> Deserialize<'de> for Confidence {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_str(Word)
    }
}

impl Serialize for Confidence {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_str(self.as_str())
    }
}

struct Word;

impl de::Visitor<'_> for Word {
    type Value = Confidence;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word for a confidence")
    }

    fn visit_str<E>(self, word: &str) -> Result<Confidence, E> {
        Ok(word.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_only_other_words_are_other() {
        for word in ["Certain", "High", "Medium", "Low"] {
            let confidence = Confidence::from(word);
            assert!(!matches!(confidence, Confidence::Other(_)));
            assert_eq!(confidence.as_str(), word);
        }
        assert_eq!(Confidence::from("low"), Confidence::Other("low".into()));
    }
}
