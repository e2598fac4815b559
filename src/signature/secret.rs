use std::{
    env, fmt,
    ops::{Bound, RangeBounds},
    sync::Arc,
    time::SystemTime,
};

use zeroize::Zeroizing;

use super::SchemeError;

/// A secret shared with a provider. Its name is shown in logs; its value never is.
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
    /// Creates a secret with the name `main`, valid at all times. The scheme determines the key encoding.
    ///
    /// An empty value, and one with white space, a line break or quotation marks around it, is rejected when the inbox
    /// is built.
    pub fn new(value: impl AsRef<[u8]>) -> Self {
        Self::of(Zeroizing::new(value.as_ref().to_vec()))
    }

    fn of(value: Zeroizing<Vec<u8>>) -> Self {
        Self { name: "main".into(), value: Arc::new(value), validity: Validity::default() }
    }

    /// Reads the environment variable `variable`, whose name becomes the name of the secret. Removes one line break at
    /// the end, because variables that are set from a file often have one.
    ///
    /// # Errors
    ///
    /// If the variable is not set, is empty or is not Unicode. The error does not contain its value.
    pub fn from_env(variable: &str) -> Result<Self, SecretError> {
        let value = env::var(variable).map(Zeroizing::new);
        match value.as_deref().map(|value| without_last_line_break(value)) {
            Ok(value) if !value.is_empty() => Ok(Self::new(value).named(variable)),
            _ => Err(SecretError { variable: variable.to_owned() }),
        }
    }

    /// Sets the name. Spaces and control characters are replaced by `_`. Default: `main`.
    pub fn named(mut self, name: impl AsRef<str>) -> Self {
        self.name = printable(name.as_ref());
        self
    }

    /// Sets the time of receipt for which the secret is valid. Default: always. A replay verifies as of the time of
    /// receipt.
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

    /// Returns the name, which is shown in logs and the archive.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }

    /// Returns an error if the value is likely a mistake. Binary values are always accepted: a random key can end in a
    /// space.
    pub(super) fn check(&self) -> Result<(), SchemeError> {
        let name = || self.name.to_string();
        let Some(text) = text(&self.value) else { return Ok(()) };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            Err(SchemeError::EmptySecret { name: name() })
        } else if trimmed != text {
            Err(SchemeError::SecretWhiteSpace { name: name() })
        } else if is_quoted(text) {
            Err(SchemeError::SecretQuoted { name: name() })
        } else {
            Ok(())
        }
    }

    /// Returns an error if the value starts with `prefix`, ignoring case.
    pub(super) fn check_prefix(&self, prefix: &str) -> Result<(), SchemeError> {
        let start = self.value.get(..prefix.len()).unwrap_or_default();
        if prefix.is_empty() || !start.eq_ignore_ascii_case(prefix.as_bytes()) {
            return Ok(());
        }
        Err(SchemeError::SecretPrefixed { name: self.name.to_string(), prefix: prefix.to_owned() })
    }

    pub(super) fn is_live(&self, at: SystemTime) -> bool {
        self.validity.holds(at)
    }

    /// Returns the secret with another value, such as its decoded key.
    pub(super) fn with_value(&self, value: Zeroizing<Vec<u8>>) -> Self {
        Self { value: Arc::new(value), ..self.clone() }
    }
}

fn without_last_line_break(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Returns `None` for bytes that are not UTF-8, or contain control characters other than white space.
fn text(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let is_text = |c: char| !c.is_control() || c.is_whitespace();
    text.chars().all(is_text).then_some(text)
}

fn is_quoted(text: &str) -> bool {
    let between = |quote| text.strip_prefix(quote).is_some_and(|rest| rest.ends_with(quote));
    ['"', '\'', '`'].into_iter().any(between)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// The error of reading a secret from the environment.
#[derive(Debug, thiserror::Error)]
#[error(
    "the environment variable {variable} contains no secret; set it to the one that the provider shows"
)]
pub struct SecretError {
    variable: String,
}

/// Replaces spaces and control characters in the name of a secret or key by `_`.
pub(super) fn printable(name: &str) -> Arc<str> {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    name.chars().map(printable).collect::<String>().into()
}

/// The time in which a secret or key is valid. Default: always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    from: Bound<SystemTime>,
    until: Bound<SystemTime>,
}

impl Validity {
    pub(super) fn during(range: &impl RangeBounds<SystemTime>) -> Self {
        Self { from: range.start_bound().cloned(), until: range.end_bound().cloned() }
    }

    pub(super) fn holds(self, at: SystemTime) -> bool {
        (self.from, self.until).contains(&at)
    }
}

impl Default for Validity {
    fn default() -> Self {
        Self::during(&..)
    }
}

#[cfg(test)]
mod secret_tests {
    use super::*;

    #[test]
    fn debug_and_error_contain_no_value() {
        let secret = Secret::new("hunter2").named("a b\n");
        assert_eq!(format!("{secret:?}"), "Secret(a_b_)");
        let missing = Secret::from_env("NO_SUCH_VARIABLE_HERE").unwrap_err();
        assert!(missing.to_string().contains("NO_SUCH_VARIABLE_HERE"));
    }

    #[test]
    fn white_space_line_break_or_quotation_marks_around_a_secret_are_an_error_that_does_not_show_it()
     {
        let check = |value: &[u8]| Secret::new(value).check();
        let name = || "main".to_owned();
        for value in [" hunter2", "hunter2\n", "hunter2\r\n", "\thunter2", "hunter2\u{a0}"] {
            let error = check(value.as_bytes()).unwrap_err();
            assert_eq!(error, SchemeError::SecretWhiteSpace { name: name() }, "{value:?}");
            assert!(
                error.to_string().contains("line break") && !error.to_string().contains("hunter")
            );
        }
        for value in ["\"hunter2\"", "'hunter2'", "`hunter2`"] {
            let error = check(value.as_bytes()).unwrap_err();
            assert_eq!(error, SchemeError::SecretQuoted { name: name() }, "{value:?}");
            assert!(!error.to_string().contains("hunter"), "{error}");
        }
        for value in ["", " ", "\n"] {
            let error = check(value.as_bytes()).unwrap_err();
            assert_eq!(error, SchemeError::EmptySecret { name: name() }, "{value:?}");
        }
    }

    #[test]
    fn white_space_inside_a_secret_and_random_bytes_are_accepted() {
        let values: [&[u8]; 5] = [b"correct horse", b"a\"b", b"\"", b"\xff\x01\n", b"\x01\x02 "];
        for value in values {
            assert_eq!(Secret::new(value).check(), Ok(()), "{value:?}");
        }
    }

    #[test]
    fn one_line_break_at_the_end_of_an_environment_variable_is_removed() {
        let values = ["a", "a\n", "a\r\n", "a\n\n", " a"].map(without_last_line_break);
        assert_eq!(values, ["a", "a", "a", "a\n", " a"]);
    }
}

#[cfg(test)]
mod validity_tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn validity_has_the_bounds_of_the_range() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let validity = Validity::during(&(at(10)..at(20)));
        let live: Vec<_> = (8..22).filter(|seconds| validity.holds(at(*seconds))).collect();
        assert_eq!(live, (10..20).collect::<Vec<_>>());
        assert!(Validity::during(&(..=at(20))).holds(at(20)));
        assert!(Validity::default().holds(at(0)));
    }
}
