use tower_layer::Layer;

use super::{Models, RouteService};
use crate::layer::Clock;

/// Finds the model for the path of each request. Others pass through.
#[derive(Clone, Debug)]
pub struct RouteLayer {
    models: Models,
    clock: Clock,
}

impl RouteLayer {
    /// Routes to `models`, also to those that are added later.
    pub fn new(models: Models) -> Self {
        Self { models, clock: Clock::default() }
    }

    /// Another clock than the system's for the time of receipt.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = RouteService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RouteService::new(inner, self.models.clone(), self.clock.clone())
    }
}
