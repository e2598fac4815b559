use tower_layer::Layer;

use super::SingleService;

/// Lets an inference be handled once at a time, and not again once processed, in whatever delivery it comes. In other
/// bytes it is a [new version](crate::layer::Attempt::new_version_of), and handled.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleLayer(());

impl SingleLayer {
    /// There is nothing to configure: the archive comes with the delivery.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for SingleLayer {
    type Service = SingleService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SingleService::new(inner)
    }
}
