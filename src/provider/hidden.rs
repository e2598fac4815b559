use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A secret that came in a body: never shown by `Debug`, and wiped from memory when it is dropped.
///
/// The exact body is in the archive, and the secret with it: whoever reads the archive can use it for as long as it
/// lives.
///
/// ```
/// use tower_inbox::provider::Redacted;
///
/// let token: Redacted = serde_json::from_str("\"hunter2\"")?;
/// assert_eq!(format!("{token:?}"), "Redacted");
/// assert_eq!(token.expose(), "hunter2");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(Zeroizing<String>);

impl Redacted {
    /// The secret itself. Keep it out of logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redacted")
    }
}

impl<'de> Deserialize<'de> for Redacted {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        String::deserialize(json).map(|text| Self(Zeroizing::new(text)))
    }
}

/// As `"hidden"`: what is written from a payload ends in logs and databases.
impl Serialize for Redacted {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_str("hidden")
    }
}
