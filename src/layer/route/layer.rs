use tower_layer::Layer;

use super::{Models, RouteService};

/// Finds the model for the path of each request. Others pass through.
#[derive(Clone, Debug)]
pub struct RouteLayer {
    models: Models,
}

impl RouteLayer {
    /// Routes to `models`, also to those that are added later.
    pub fn new(models: Models) -> Self {
        Self { models }
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = RouteService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RouteService::new(inner, self.models.clone())
    }
}
