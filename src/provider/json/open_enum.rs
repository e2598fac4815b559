use std::{fmt, marker::PhantomData};

use serde::de::Visitor;

/// Defines an enum of strings with a variant for unknown values.
///
/// `#[serde(other)]` would lose the value, and an untagged variant is slow.
macro_rules! open_enum {
    ($(#[$attribute:meta])* $visibility:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        $visibility enum $name {
            $(#[doc = concat!("`", $word, "`.")] $(#[$doc])* $variant,)+
            /// An unknown value.
            Other(Box<str>),
        }

        impl $name {
            /// Returns the value as a string.
            $visibility fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.into()),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
                json.deserialize_str($crate::provider::json::open_enum::Word(std::marker::PhantomData))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::Other(word) => $crate::provider::json::unknown::serialize_word(word, json),
                    known => json.serialize_str(known.as_str()),
                }
            }
        }
    };
}

pub(in crate::provider) use open_enum;

/// Decodes a value of an open enum.
pub(in crate::provider) struct Word<T>(pub(in crate::provider) PhantomData<T>);

impl<T: for<'a> From<&'a str>> Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_str<E>(self, word: &str) -> Result<T, E> {
        Ok(word.into())
    }
}

#[cfg(test)]
mod tests {
    open_enum! {
        /// A state.
        enum State { Done = "done", Waiting = "waiting" }
    }

    #[test]
    fn known_and_unknown_enum_values_round_trip() {
        for word in ["done", "waiting", "Done", ""] {
            let json = serde_json::to_string(word).unwrap();
            let state: State = serde_json::from_str(&json).unwrap();
            assert_eq!(matches!(state, State::Other(_)), !["done", "waiting"].contains(&word));
            assert_eq!(state.as_str(), word);
            assert_eq!(serde_json::to_string(&state).unwrap(), json);
        }
        assert!(serde_json::from_str::<State>("1").is_err());
    }
}
