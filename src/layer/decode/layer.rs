use tower_layer::Layer;

use super::DecodeService;

/// Loads the inference and puts it into the request's extensions. What cannot be loaded is answered by the provider's
/// profile: 422, or 202.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecodeLayer(());

impl DecodeLayer {
    /// There is nothing to configure: the archive comes with the delivery.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for DecodeLayer {
    type Service = DecodeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DecodeService::new(inner)
    }
}
