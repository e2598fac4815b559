use super::Inbox;
use crate::{
    archive::Archive,
    layer::{Budget, Custody, DEFAULT_BYTES_IN_FLIGHT, ModelError, Models},
    provider::Model,
};

/// Puts an [`Inbox`] together.
#[derive(Debug)]
#[must_use = "call build() to get the inbox"]
pub struct InboxBuilder {
    archive: Box<dyn Archive>,
    models: Vec<(String, Model)>,
    prefixes: Vec<String>,
    bytes_in_flight: usize,
}

impl InboxBuilder {
    pub(super) fn new(archive: Box<dyn Archive>) -> Self {
        Self {
            archive,
            models: Vec::new(),
            prefixes: Vec::new(),
            bytes_in_flight: DEFAULT_BYTES_IN_FLIGHT,
        }
    }

    /// Receives the deliveries of `model` at `path`, which may have captures: `/hooks/property/{reference}`.
    pub fn model(mut self, path: impl Into<String>, model: Model) -> Self {
        self.models.push((path.into(), model));
        self
    }

    /// Answers 404 to all that is at `prefix` or below it and is not for a model. By default such requests pass
    /// through to the service inside.
    pub fn claim(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// How many bytes may be in flight at the same time, from when they arrive until they are handled; a request counts
    /// with its body, twice its headers, and 4 KiB for the rest. By
    /// default 256 MiB. What is over it is answered 503 at once.
    pub fn bytes_in_flight(mut self, bytes: usize) -> Self {
        self.bytes_in_flight = bytes;
        self
    }

    /// The inbox.
    ///
    /// # Errors
    ///
    /// If a path or a claimed prefix cannot be used, if a path is given twice, or a model's sender cannot be verified, such as for an empty secret.
    pub fn build(self) -> Result<Inbox, BuildError> {
        let models = Models::new();
        for (path, model) in self.models {
            models.add(&path, model)?;
        }
        for prefix in &self.prefixes {
            models.claim(prefix)?;
        }
        let budget = Budget::new(self.bytes_in_flight);
        Ok(Inbox::new(models, budget, Custody::boxed(self.archive)))
    }
}

/// Why an inbox cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A model cannot be added.
    #[error("the inbox cannot be built")]
    Model(#[from] ModelError),
}
