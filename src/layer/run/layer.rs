use tower_layer::Layer;

use super::RunService;
use crate::layer::Custody;

/// Calls the service inside with the delivery, and records what became of it.
#[derive(Clone, Debug)]
pub struct RunLayer {
    custody: Custody,
}

impl RunLayer {
    /// Works with the archive of `custody`, which is shared with the layers around it.
    pub fn new(custody: Custody) -> Self {
        Self { custody }
    }
}

impl<S> Layer<S> for RunLayer {
    type Service = RunService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RunService::new(inner, self.custody.clone())
    }
}
