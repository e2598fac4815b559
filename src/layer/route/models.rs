use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use http::Method;

use super::table::{RouteMatch, Table};
use crate::{
    delivery::{Captures, Delivery, ModelName, ModelNameError},
    log_limit::LogLimits,
    metrics,
    provider::{Drift, Model},
    signature::SchemeError,
};

/// The models of an inbox, by path. Clones share them. Models can be added, replaced and removed while the server runs.
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
pub struct Models(Arc<Shared>);

#[derive(Default)]
struct Shared {
    table: RwLock<Table>,
    /// Limits the log lines of requests that are rejected without a model.
    rejection_log: LogLimits,
}

impl Models {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model at a path, which may be that of a removed endpoint.
    ///
    /// # Errors
    ///
    /// If the path is invalid, taken, or conflicts with another one, or if the model's scheme is invalid.
    pub fn add(&self, path: &str, model: Model) -> Result<(), ModelError> {
        self.add_counted(model, |table, model| table.add(path, model))
    }

    /// Adds a model that receives no requests, and so has no counter of them.
    pub(crate) fn add_uncounted(&self, path: &str, model: Model) -> Result<(), ModelError> {
        self.change(|table| table.add(path, model)).map(drop)
    }

    /// Replaces the model at a path, for example to rotate a secret. Every request is routed to the old or to the new
    /// model, without a gap. The new model keeps the name of the old one unless it has its own.
    ///
    /// # Errors
    ///
    /// [`ModelError::Missing`] if there is no model at the path; otherwise like [`add`](Self::add). Then nothing
    /// changes.
    ///
    /// ```
    /// use tower_inbox::{Secret, layer::Models, provider::foxyai};
    ///
    /// let group = |secret| foxyai::image_group().token_in_query("ticket", Secret::new(secret));
    /// let models = Models::new();
    /// models.add("/hooks/group", group("correct horse"))?;
    /// models.replace("/hooks/group", group("battery staple"))?;
    /// assert!(models.replace("/hooks/other", group("battery staple")).is_err());
    /// # Ok::<(), tower_inbox::layer::ModelError>(())
    /// ```
    pub fn replace(&self, path: &str, model: Model) -> Result<(), ModelError> {
        self.add_counted(model, |table, model| table.replace(path, model))
    }

    /// Removes the endpoint at a path. Requests to it are answered 410 from then on. False if there is none.
    pub fn remove(&self, path: &str) -> bool {
        self.change(|table| table.remove(path))
    }

    /// Reserves a path prefix: requests below it that are not for a model are answered 404. Without this they pass
    /// through.
    ///
    /// # Errors
    ///
    /// If the prefix does not start with `/`.
    pub fn reserve_prefix(&self, prefix: &str) -> Result<(), ModelError> {
        self.change(|table| table.reserve_prefix(prefix))
    }

    /// The schema drift of models that [detect it](crate::provider::ModelBuilder::detect_schema_drift): the model, the JSON path with
    /// `[*]` for list items, and the number of sampled deliveries that have it. At most 100 paths of each model.
    pub fn unknown(&self) -> Vec<(ModelName, String, u64)> {
        let unknown = self.table().drift(Model::unknown_so_far);
        unknown.into_iter().map(|(model, drift)| (model, drift.path, drift.count)).collect()
    }

    /// The places in which bodies deviated from the payload type of their model, and were decoded all the same, since the
    /// model was added or replaced: members of an unexpected form, and, for models that
    /// [detect schema drift](crate::provider::ModelBuilder::detect_schema_drift), unknown members and enum values of the
    /// sampled deliveries. At most 100 places of each kind and model.
    ///
    /// ```
    /// use tower_inbox::{Inbox, MemoryArchive};
    ///
    /// let inbox = Inbox::builder(MemoryArchive::new()).build()?;
    /// for (model, drift) in inbox.models().drift() {
    ///     println!("{model}: {}: {}, {} times, last in {}", drift.path, drift.kind, drift.count, drift.last);
    /// }
    /// # Ok::<(), tower_inbox::BuildError>(())
    /// ```
    pub fn drift(&self) -> Vec<(ModelName, Drift)> {
        self.table().drift(Model::drift_so_far)
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> RouteMatch {
        self.table().find(method, path)
    }

    /// The model of this name, with the captures of `path`.
    pub(crate) fn named(&self, name: &ModelName, path: &str) -> Option<(Arc<Model>, Captures)> {
        self.table().named(name, path)
    }

    /// The name of the model that receives at `path`.
    pub(crate) fn name_at(&self, path: &str) -> Option<ModelName> {
        self.table().name_at(path)
    }

    /// Returns the model of a delivery, also if its endpoint was removed, with the captures of its path.
    pub(crate) fn of_delivery(&self, delivery: &Delivery) -> Option<(Arc<Model>, Captures)> {
        self.table().named(delivery.model(), delivery.head().uri().path())
    }

    /// The models of other names, each once.
    pub(crate) fn others(&self, name: &ModelName) -> Vec<(ModelName, Arc<Model>)> {
        self.table().others(name)
    }

    /// The names of all models, including those of removed endpoints, each once.
    pub(crate) fn names(&self) -> Vec<ModelName> {
        self.table().names()
    }

    /// For each model that receives deliveries, its name and a path that matches its pattern.
    pub(crate) fn probe_paths(&self) -> Vec<(ModelName, String)> {
        self.table().probe_paths()
    }

    pub(super) fn rejection_log(&self) -> &LogLimits {
        &self.0.rejection_log
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_counted(
        &self,
        model: Model,
        add: impl FnOnce(&mut Table, Model) -> Result<ModelName, ModelError>,
    ) -> Result<(), ModelError> {
        let provider = model.provider_name();
        let name = self.change(|table| add(table, model))?;
        metrics::model_added(&name, provider);
        Ok(())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        change(&mut self.0.table.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.table(), f)
    }
}

/// Why a model cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The path is invalid, or conflicts with another one.
    #[error("invalid model path {path}: {reason}")]
    #[non_exhaustive]
    Path {
        /// The path.
        path: String,
        /// The cause.
        reason: String,
    },
    /// A model is mounted at this path.
    #[error("a model is mounted at {path} already; use Models::replace, or remove it first")]
    #[non_exhaustive]
    Taken {
        /// The path.
        path: String,
    },
    /// No model is mounted at this path, so that it cannot be replaced.
    #[error("no model at {path}; add it with Models::add")]
    #[non_exhaustive]
    Missing {
        /// The path.
        path: String,
    },
    /// The path is not a valid name of a model.
    #[error("path {path} cannot be the name of its model; set one with Model::named")]
    #[non_exhaustive]
    Name {
        /// The path.
        path: String,
        /// The cause.
        source: ModelNameError,
    },
    /// The scheme of the model is invalid.
    #[error("invalid signature scheme of the model at {path}")]
    #[non_exhaustive]
    Scheme {
        /// The path.
        path: String,
        /// The cause.
        source: SchemeError,
    },
}
