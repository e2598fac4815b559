use std::{fmt, str::FromStr, sync::Arc};

/// The longest name of a model, in bytes.
const LONGEST: usize = 256;

/// Names a model in logs, in metrics and in the archive. Without another choice it is the path of the model.
///
/// Cheap to clone. One to 256 bytes of visible ASCII, so that it can stand in any header or file.
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
        let fits = (1..=LONGEST).contains(&text.len());
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

/// A text that cannot name a model.
#[derive(Debug, thiserror::Error)]
#[error("a model's name is one to {LONGEST} bytes of visible ASCII without spaces")]
pub struct ModelNameError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for name in ["", "a b", "a\r\nb", "é", &"x".repeat(257)] {
            assert!(name.parse::<ModelName>().is_err(), "{name:?}");
        }
    }
}
