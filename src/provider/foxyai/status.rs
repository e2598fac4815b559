use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How far a group, an image or a model's run has come (interface `StatusType` of the client app).
///
/// Words that are not known yet are kept as they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// `completed`: all is there. A group without images is completed, too.
    Completed,
    /// `processing`: more will come.
    Processing,
    /// `partial_failure`: a part failed, the rest is there.
    PartialFailure,
    /// `generating`.
    Generating,
    /// `failed`.
    Failed,
    /// Another word.
    Other(Box<str>),
}

impl Status {
    /// The word for it, as FoxyAI writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Completed => "completed",
            Self::Processing => "processing",
            Self::PartialFailure => "partial_failure",
            Self::Generating => "generating",
            Self::Failed => "failed",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for Status {
    fn from(word: &str) -> Self {
        match word {
            "completed" => Self::Completed,
            "processing" => Self::Processing,
            "partial_failure" => Self::PartialFailure,
            "generating" => Self::Generating,
            "failed" => Self::Failed,
            other => Self::Other(other.into()),
        }
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_str(Word)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_str(self.as_str())
    }
}

struct Word;

impl de::Visitor<'_> for Word {
    type Value = Status;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word for a status")
    }

    fn visit_str<E>(self, word: &str) -> Result<Status, E> {
        Ok(word.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_only_other_words_are_other() {
        for word in ["completed", "processing", "partial_failure", "generating", "failed"] {
            let status = Status::from(word);
            assert!(!matches!(status, Status::Other(_)));
            assert_eq!(status.as_str(), word);
        }
        assert_eq!(Status::from("paused"), Status::Other("paused".into()));
    }
}
