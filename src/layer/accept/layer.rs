use tower_layer::Layer;

use super::AcceptService;

/// Says who handles a delivery that has its receipt: the request that brought it, or later a worker.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLayer {
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Inline,
    Background,
}

impl AcceptLayer {
    /// The delivery is handled while its sender waits, and the handler's answer is the sender's.
    pub fn inline() -> Self {
        Self { mode: Mode::Inline }
    }

    /// The sender is answered 202, or what its profile says, and a worker handles the delivery.
    pub fn background() -> Self {
        Self { mode: Mode::Background }
    }

    pub(crate) fn is_inline(self) -> bool {
        self.mode == Mode::Inline
    }
}

impl<S> Layer<S> for AcceptLayer {
    type Service = AcceptService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AcceptService::new(inner, self.mode)
    }
}
