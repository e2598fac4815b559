use tower_layer::Layer;

use super::DecodeService;
use crate::layer::Custody;

/// Loads the inference and puts it into the request's extensions. What cannot be loaded is answered by the provider's
/// profile: 422, or 202.
#[derive(Clone, Debug)]
pub struct DecodeLayer {
    custody: Custody,
}

impl DecodeLayer {
    /// Works with the archive of `custody`, which is shared with the layers around it.
    pub fn new(custody: Custody) -> Self {
        Self { custody }
    }
}

impl<S> Layer<S> for DecodeLayer {
    type Service = DecodeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DecodeService::new(inner, self.custody.clone())
    }
}
