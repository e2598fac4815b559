use tower_layer::Layer;

use super::ArchiveService;
use crate::layer::Custody;

/// Makes each delivery durable before anything tries to load it. If that fails, the answer is 503, never 2xx.
#[derive(Clone, Debug)]
pub struct ArchiveLayer {
    custody: Custody,
}

impl ArchiveLayer {
    /// Works with the archive of `custody`, which is shared with the layers around it.
    pub fn new(custody: Custody) -> Self {
        Self { custody }
    }
}

impl<S> Layer<S> for ArchiveLayer {
    type Service = ArchiveService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ArchiveService::new(inner, self.custody.clone())
    }
}
