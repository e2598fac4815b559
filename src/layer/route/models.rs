use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use http::Method;

use super::{
    Captures, ModelError,
    table::{Found, Table},
};
use crate::{
    delivery::{Delivery, ModelName},
    provider::Model,
};

/// The models of an inbox, by path. Clones share them, and they may be added and removed while the server runs.
///
/// A path may have captures: `/hooks/property/{reference}`, or `{*rest}` at its end.
///
/// ```
/// use tower_inbox::{Secret, layer::Models, provider::foxyai};
///
/// let models = Models::new();
/// let model = foxyai::image_group().token_in_query("ticket", Secret::new("correct horse"));
/// models.add("/hooks/property/{reference}", model)?;
/// // From now on the path is answered 410, which makes senders stop.
/// assert!(models.remove("/hooks/property/{reference}"));
/// # Ok::<(), tower_inbox::layer::ModelError>(())
/// ```
#[derive(Clone, Default)]
pub struct Models(Arc<RwLock<Table>>);

impl Models {
    /// No models.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a model at a path, also at one that was removed.
    ///
    /// # Errors
    ///
    /// If the path is not usable or taken, or the model's scheme cannot work.
    pub fn add(&self, path: &str, model: Model) -> Result<(), ModelError> {
        self.change(|table| table.add(path, model))
    }

    /// Removes the endpoint at a path, which is answered 410 from now on. False if there is none.
    pub fn remove(&self, path: &str) -> bool {
        self.change(|table| table.remove(path))
    }

    /// Answers 404 to every request whose path is `prefix` or below it and that is not for a model. Without this they
    /// pass through.
    ///
    /// # Errors
    ///
    /// If the prefix does not begin with `/`.
    pub fn claim(&self, prefix: &str) -> Result<(), ModelError> {
        self.change(|table| table.claim(prefix))
    }

    /// What the types of [watched](crate::provider::ModelDraft::watched) models do not know: the model, the JSON path
    /// with `[*]` for the items of lists, and in how many of the deliveries that were looked at. At most 100 paths of
    /// each model.
    pub fn unknown(&self) -> Vec<(ModelName, String, u64)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).unknown()
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found {
        self.0.read().unwrap_or_else(PoisonError::into_inner).find(method, path)
    }

    /// The model that a delivery is for, also where its endpoint was removed, with what its path captures.
    pub(crate) fn of(&self, delivery: &Delivery) -> Option<(Arc<Model>, Captures)> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .of(delivery.model(), delivery.head().uri().path())
    }

    /// The models of other names, each once.
    pub(crate) fn others(&self, name: &ModelName) -> Vec<(ModelName, Arc<Model>)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).others(name)
    }

    /// How many models something is received for.
    pub(crate) fn count(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).count()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0.read().unwrap_or_else(PoisonError::into_inner), f)
    }
}
