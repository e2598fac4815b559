use std::{fmt, str::FromStr, sync::Arc, time::SystemTime};

use uuid::Uuid;

/// Identifies a delivery: a UUID version 7 (RFC 9562, section 5.7), so that ids sort by time of receipt.
///
/// ```
/// use tower_inbox::DeliveryId;
///
/// let id = DeliveryId::new();
/// assert_eq!(id.to_string().parse::<DeliveryId>()?, id);
/// # Ok::<(), tower_inbox::delivery::ParseDeliveryIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(Uuid);

impl DeliveryId {
    /// Creates an id from the current time and random bits.
    #[expect(clippy::new_without_default, reason = "two defaults would differ")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The time at which the id was created, in whole milliseconds; None if it is another version of UUID.
    pub fn made_at(&self) -> Option<SystemTime> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::new(seconds, nanos))
    }

    /// Returns the id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id, in the order in which they are printed.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DeliveryId {
    type Err = ParseDeliveryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| ParseDeliveryIdError(()))
    }
}

/// The error of parsing a [`DeliveryId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid delivery id: expected a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct ParseDeliveryIdError(());

/// The maximum length of a model name, in bytes.
const MAX_NAME_LENGTH: usize = 256;

/// The name of a model in logs, metrics and the archive. Default: the path of the model.
///
/// 1 to 256 bytes of visible ASCII, so that any header or file can hold it. Cheap to clone.
///
/// ```
/// use tower_inbox::ModelName;
///
/// assert!("/hooks/property/{reference}".parse::<ModelName>().is_ok());
/// assert!("two words".parse::<ModelName>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(Arc<str>);

impl ModelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = ModelNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=MAX_NAME_LENGTH).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(ModelNameError(()))
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The error of parsing a [`ModelName`].
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid model name: expected 1 to {MAX_NAME_LENGTH} bytes of visible ASCII without spaces"
)]
pub struct ModelNameError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let ids: Vec<_> = (0..100).map(|_| DeliveryId::new()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn id_has_the_time_of_its_creation() {
        let made_at = DeliveryId::new().made_at().unwrap();
        assert!(made_at.elapsed().unwrap_or_default().as_secs() < 60);
    }

    #[test]
    fn text_that_is_not_a_uuid_is_an_error() {
        assert!("not-an-id".parse::<DeliveryId>().is_err());
    }

    #[test]
    fn invalid_model_names_are_errors() {
        for name in ["", "a b", "a\r\nb", "é", &"x".repeat(257)] {
            assert!(name.parse::<ModelName>().is_err(), "{name:?}");
        }
    }
}
