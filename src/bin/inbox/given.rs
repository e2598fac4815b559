use std::{ffi::OsStr, fmt};

use tower_inbox::Secret;
use zeroize::Zeroizing;

/// A secret as it stands on the command line or in the environment: what it is depends on who signs with it.
#[derive(Clone)]
pub(crate) struct Given(Zeroizing<Vec<u8>>);

impl Given {
    pub(crate) fn new(text: &OsStr) -> Self {
        Self(Zeroizing::new(text.as_encoded_bytes().to_vec()))
    }

    /// The secret to sign with, or the token.
    pub(crate) fn secret(&self) -> Secret {
        Secret::new(&*self.0)
    }

    /// The text, for those who sign with a key.
    #[cfg(feature = "ed25519")]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Shows nothing: options are shown where something is wrong with them.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given")
    }
}
