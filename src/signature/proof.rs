use std::{borrow::Cow, fmt, str::FromStr};

/// What proved the sender of a delivery: the scheme, the name of the secret, and the form of the body that matched.
///
/// Holds names only. Reads and writes as one line of text, which is how archives keep it.
///
/// ```
/// use tower_inbox::signature::Proof;
///
/// let proof = Proof::new("hmac-sha256", "2026-11", "raw");
/// assert_eq!(proof.to_string(), "hmac-sha256 secret=2026-11 form=raw");
/// assert_eq!(proof.to_string().parse::<Proof>()?, proof);
/// # Ok::<(), tower_inbox::signature::ParseProofError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    scheme: Cow<'static, str>,
    secret: String,
    form: Cow<'static, str>,
}

impl Proof {
    /// A proof by `scheme`, with the secret of this name, over this form of the body.
    pub fn new(scheme: &'static str, secret: impl Into<String>, form: &'static str) -> Self {
        Self { scheme: scheme.into(), secret: secret.into(), form: form.into() }
    }

    /// The scheme that was checked.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The name of the secret that matched.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The form of the body that matched, mostly `raw`.
    pub fn form(&self) -> &str {
        &self.form
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secret={} form={}", self.scheme, self.secret, self.form)
    }
}

impl FromStr for Proof {
    type Err = ParseProofError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = line.split_once(" secret=").ok_or(ParseProofError(()))?;
        let (secret, form) = rest.rsplit_once(" form=").ok_or(ParseProofError(()))?;
        Ok(Self {
            scheme: scheme.to_owned().into(),
            secret: secret.to_owned(),
            form: form.to_owned().into(),
        })
    }
}

/// A text that is not a proof.
#[derive(Debug, thiserror::Error)]
#[error("this is not a proof: it reads `SCHEME secret=NAME form=FORM`")]
pub struct ParseProofError(());
