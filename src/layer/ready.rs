use std::mem;

/// Takes the service that was polled ready, and leaves a clone that was not in its place.
///
/// Only the one that was polled ready may be called: it may hold a permit that its clones do not have.
pub(super) fn take_ready<S: Clone>(inner: &mut S) -> S {
    let not_ready_inner = inner.clone();
    mem::replace(inner, not_ready_inner)
}
