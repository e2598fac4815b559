/// Writes an enum of words, with an arm for those that are not known yet.
///
/// `#[serde(other)]` would forget the word, and an untagged arm reads slowly.
macro_rules! open_enum {
    ($(#[$attribute:meta])* $visibility:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        $visibility enum $name {
            $(#[doc = concat!("`", $word, "`.")] $(#[$doc])* $variant,)+
            /// Another word, kept as it came.
            Other(Box<str>),
        }

        impl $name {
            /// The word for it, as it is sent.
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
                json.deserialize_str($crate::provider::read::Word(std::marker::PhantomData))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::Other(word) => $crate::provider::known::unknown_word(word, json),
                    known => json.serialize_str(known.as_str()),
                }
            }
        }
    };
}

pub(crate) use open_enum;

#[cfg(test)]
mod tests {
    open_enum! {
        /// A state.
        enum State { Done = "done", Waiting = "waiting" }
    }

    #[test]
    fn every_word_reads_back_and_only_other_words_are_other() {
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
