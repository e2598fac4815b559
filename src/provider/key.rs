use std::fmt;

/// Which inference a delivery carries, in the provider's own words: what makes two deliveries one.
///
/// The id may come with a version: the same id with another version is another inference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InferenceKey {
    id: String,
    version: Option<String>,
}

impl InferenceKey {
    /// The key of an inference that is posted once.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), version: None }
    }

    /// The key of one state of an inference that is posted again whenever it changes.
    pub fn versioned(id: impl Into<String>, version: impl Into<String>) -> Self {
        Self { id: id.into(), version: Some(version.into()) }
    }

    /// The provider's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What tells the states of one id apart.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

impl fmt::Display for InferenceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.id),
            None => f.write_str(&self.id),
        }
    }
}

impl InferenceKey {
    pub(crate) fn within<'c>(self, captures: impl Iterator<Item = (&'c str, &'c str)>) -> Self {
        let _ = captures;
        self
    }

    pub(crate) fn scoped_id(&self) -> String {
        self.id.clone()
    }
}
