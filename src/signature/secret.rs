use std::{env, fmt};

use zeroize::Zeroizing;

use super::SchemeError;

/// A secret shared with a provider. It has a name, which may be shown, and a value, which never is.
///
/// The value is wiped from memory when the last copy is dropped.
///
/// ```
/// use tower_inbox::Secret;
///
/// let secret = Secret::new("correct horse").named("2026-11");
/// assert_eq!(format!("{secret:?}"), "Secret(2026-11)");
/// ```
#[derive(Clone)]
pub struct Secret {
    name: String,
    value: Zeroizing<Vec<u8>>,
}

impl Secret {
    /// A secret with the name `main`. Its bytes are used as they are: a text is not decoded.
    ///
    /// An empty one is refused when the inbox is built.
    pub fn new(value: impl AsRef<[u8]>) -> Self {
        Self { name: "main".to_owned(), value: Zeroizing::new(value.as_ref().to_vec()) }
    }

    /// Reads the environment variable `variable`, whose name becomes the name of the secret.
    ///
    /// # Errors
    ///
    /// If the variable is not set, is empty or is not Unicode. The error does not hold its value.
    pub fn from_env(variable: &str) -> Result<Self, SecretError> {
        match env::var(variable) {
            Ok(value) if !value.is_empty() => {
                Ok(Self::new(Zeroizing::new(value).as_bytes()).named(variable))
            }
            _ => Err(SecretError { variable: variable.to_owned() }),
        }
    }

    /// Gives the secret another name. Spaces and control characters in it become `_`.
    pub fn named(mut self, name: impl AsRef<str>) -> Self {
        self.name =
            name.as_ref().chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
        self
    }

    /// The name that logs and the archive show.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.value
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

/// The secrets that are live at the same time, so that one can take the place of another without a gap.
///
/// ```
/// use tower_inbox::signature::{Secret, SecretSet};
///
/// let during_rotation = SecretSet::from([Secret::new("new").named("new"), Secret::new("old").named("old")]);
/// # let _ = during_rotation;
/// ```
#[derive(Clone, Debug, Default)]
pub struct SecretSet(Vec<Secret>);

impl SecretSet {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }

    /// Whether a scheme can work with this set.
    ///
    /// # Errors
    ///
    /// If there is no secret in it, or an empty one.
    pub fn check(&self) -> Result<(), SchemeError> {
        if self.0.is_empty() {
            return Err(SchemeError::NoSecret);
        }
        match self.iter().find(|secret| secret.value().is_empty()) {
            Some(secret) => Err(SchemeError::EmptySecret { name: secret.name.clone() }),
            None => Ok(()),
        }
    }
}

impl From<Secret> for SecretSet {
    fn from(secret: Secret) -> Self {
        Self(vec![secret])
    }
}

impl<const N: usize> From<[Secret; N]> for SecretSet {
    fn from(secrets: [Secret; N]) -> Self {
        Self(secrets.into())
    }
}

impl From<Vec<Secret>> for SecretSet {
    fn from(secrets: Vec<Secret>) -> Self {
        Self(secrets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_error_shows_a_value() {
        let set = SecretSet::from([Secret::new("hunter2"), Secret::new("hunter3").named("a b")]);
        assert_eq!(format!("{set:?}"), "SecretSet([Secret(main), Secret(a_b)])");
        let missing = Secret::from_env("NO_SUCH_VARIABLE_HERE").unwrap_err();
        assert!(missing.to_string().contains("NO_SUCH_VARIABLE_HERE"));
    }

    #[test]
    fn a_set_without_a_usable_secret_is_refused() {
        assert_eq!(SecretSet::default().check(), Err(SchemeError::NoSecret));
        let empty = SecretSet::from([Secret::new("x"), Secret::new("").named("old")]);
        assert_eq!(empty.check(), Err(SchemeError::EmptySecret { name: "old".to_owned() }));
    }
}
