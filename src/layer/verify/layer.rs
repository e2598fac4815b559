use tower_layer::Layer;

use super::{Quarantine, VerifyService};

/// Lets only deliveries pass whose sender the model's scheme can prove. Others are answered 401.
#[derive(Clone, Debug, Default)]
pub struct VerifyLayer {
    quarantine: Option<Quarantine>,
}

impl VerifyLayer {
    /// Each model brings its scheme.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps what is refused.
    pub fn quarantine(mut self, quarantine: Quarantine) -> Self {
        self.quarantine = Some(quarantine);
        self
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = VerifyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        VerifyService::new(inner, self.quarantine.clone())
    }
}
