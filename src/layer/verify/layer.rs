use tower_layer::Layer;

use super::VerifyService;

/// Lets only deliveries pass whose sender the model's scheme can prove. Others are answered 401.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyLayer(());

impl VerifyLayer {
    /// Each model brings its scheme; there is nothing to configure.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = VerifyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        VerifyService::new(inner)
    }
}
