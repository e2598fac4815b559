use tower_layer::Layer;

use super::{Budget, BufferService};

/// Reads the body of a claimed request into memory, within its limits.
#[derive(Clone, Debug, Default)]
pub struct BufferLayer {
    budget: Budget,
}

impl BufferLayer {
    /// All services that this layer makes share `budget`.
    pub fn new(budget: Budget) -> Self {
        Self { budget }
    }
}

impl<S> Layer<S> for BufferLayer {
    type Service = BufferService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BufferService::new(inner, self.budget.clone())
    }
}
