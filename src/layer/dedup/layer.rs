use tower_layer::Layer;

use super::DedupService;
use crate::layer::Custody;

/// Lets one inference run once at a time, and not again once processed. A repeat is answered as the first was.
#[derive(Clone, Debug)]
pub struct DedupLayer {
    custody: Custody,
}

impl DedupLayer {
    /// Works with the archive of `custody`, which is shared with the layers around it.
    pub fn new(custody: Custody) -> Self {
        Self { custody }
    }
}

impl<S> Layer<S> for DedupLayer {
    type Service = DedupService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DedupService::new(inner, self.custody.clone())
    }
}
