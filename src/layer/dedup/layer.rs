use tower_layer::Layer;

use super::DedupService;

/// Lets a delivery be handled once at a time, and not again once processed. A repeat is answered as the first was.
#[derive(Clone, Copy, Debug, Default)]
pub struct DedupLayer(());

impl DedupLayer {
    /// There is nothing to configure: the archive comes with the delivery.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for DedupLayer {
    type Service = DedupService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DedupService::new(inner)
    }
}
