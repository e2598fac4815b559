use tower_layer::Layer;

use super::RunService;

/// Calls the service inside with the delivery, and records what became of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunLayer(());

impl RunLayer {
    /// There is nothing to configure: the archive comes with the delivery.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for RunLayer {
    type Service = RunService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RunService::new(inner)
    }
}
