use tower_layer::Layer;

use super::{Budget, BufferService};

/// Reads the body of a claimed request into memory, within its limits.
#[derive(Clone, Debug, Default)]
pub struct BufferLayer {
    budget: Budget,
    reads_all: bool,
}

impl BufferLayer {
    /// All services that this layer makes share `budget`.
    pub fn new(budget: Budget) -> Self {
        Self { budget, reads_all: false }
    }

    /// Reads the body also of what its head alone refuses, for a quarantine that is
    /// [`reading_all`](crate::layer::Quarantine::reading_all): it is refused after that.
    pub fn reading_all(mut self) -> Self {
        self.reads_all = true;
        self
    }
}

impl<S> Layer<S> for BufferLayer {
    type Service = BufferService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BufferService::new(inner, self.budget.clone(), self.reads_all)
    }
}
