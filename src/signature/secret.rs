use std::{env, fmt, ops::RangeBounds, sync::Arc, time::SystemTime};

use zeroize::Zeroizing;

use super::{name::printable, validity::Validity};

/// A secret shared with a provider. It has a name, which may be shown, and a value, which never is.
///
/// Cheap to clone. The value is wiped from memory when the last copy is dropped.
///
/// ```
/// use tower_inbox::Secret;
///
/// let secret = Secret::new("correct horse").named("2026-11");
/// assert_eq!(format!("{secret:?}"), "Secret(2026-11)");
/// ```
#[derive(Clone)]
pub struct Secret {
    name: Arc<str>,
    value: Arc<Zeroizing<Vec<u8>>>,
    validity: Validity,
}

impl Secret {
    /// A secret with the name `main`, valid at all times. Its bytes are used as they are, unless the scheme says that
    /// a text is decoded.
    ///
    /// An empty one is refused when the inbox is built.
    pub fn new(value: impl AsRef<[u8]>) -> Self {
        Self::of(Zeroizing::new(value.as_ref().to_vec()))
    }

    fn of(value: Zeroizing<Vec<u8>>) -> Self {
        Self { name: "main".into(), value: Arc::new(value), validity: Validity::default() }
    }

    /// Reads the environment variable `variable`, whose name becomes the name of the secret.
    ///
    /// # Errors
    ///
    /// If the variable is not set, is empty or is not Unicode. The error does not hold its value.
    pub fn from_env(variable: &str) -> Result<Self, SecretError> {
        match env::var(variable) {
            Ok(value) if !value.is_empty() => {
                Ok(Self::of(Zeroizing::new(value.into_bytes())).named(variable))
            }
            _ => Err(SecretError { variable: variable.to_owned() }),
        }
    }

    /// Gives the secret another name. Spaces and control characters in it become `_`.
    pub fn named(mut self, name: impl AsRef<str>) -> Self {
        self.name = printable(name.as_ref());
        self
    }

    /// Counts only for what was received during this time, so that a replay verifies as of the time of receipt.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use tower_inbox::Secret;
    ///
    /// let rotated_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    /// let old = Secret::new("old").named("old").valid(..rotated_at + Duration::from_secs(86_400));
    /// let new = Secret::new("new").named("new").valid(rotated_at..);
    /// # let _ = (old, new);
    /// ```
    pub fn valid(mut self, during: impl RangeBounds<SystemTime>) -> Self {
        self.validity = Validity::during(&during);
        self
    }

    /// The name that logs and the archive show.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    pub(super) fn is_live(&self, at: SystemTime) -> bool {
        self.validity.holds(at)
    }

    /// The same secret with another value, such as the key that its text encodes.
    pub(super) fn with_value(&self, value: Zeroizing<Vec<u8>>) -> Self {
        Self { value: Arc::new(value), ..self.clone() }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// A secret that the environment does not hold.
#[derive(Debug, thiserror::Error)]
#[error(
    "the environment variable {variable} holds no secret: set it to the one that the provider shows"
)]
pub struct SecretError {
    variable: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_error_shows_a_value() {
        let secret = Secret::new("hunter2").named("a b\n");
        assert_eq!(format!("{secret:?}"), "Secret(a_b_)");
        let missing = Secret::from_env("NO_SUCH_VARIABLE_HERE").unwrap_err();
        assert!(missing.to_string().contains("NO_SUCH_VARIABLE_HERE"));
    }
}
