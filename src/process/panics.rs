//! Panics of handlers and of our own tasks: caught, and described by their location.

use std::{
    cell::RefCell,
    future::poll_fn,
    panic::{self, AssertUnwindSafe},
    pin::pin,
    sync::Once,
    task::Poll,
};

thread_local! {
    /// Where the last panic of this thread happened.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that was caught, as the file, line and column where it happened. The message is left out, because it may hold
/// values of a payload; the panic hook has printed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    location: Option<String>,
}

impl std::fmt::Display for Panic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}"),
            None => f.write_str("panicked"),
        }
    }
}

/// Calls `work` and catches a panic in it.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    record_locations();
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panic { location: LOCATION.take() })
}

/// Runs a future to its end and catches a panic in it.
pub(crate) async fn catch_async<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(future);
    poll_fn(|context| match catch(|| future.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Only a panic hook is told where a panic happened. Ours calls the one that was set before.
fn record_locations() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            LOCATION.set(info.location().map(ToString::to_string));
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_is_caught_with_its_location() {
        let caught = catch_async(async {
            tokio::task::yield_now().await;
            panic!("a secret of the payload");
        });
        let text = caught.await.map(|(): ()| ()).unwrap_err().to_string();
        assert!(text.starts_with("panicked at ") && text.contains("panics.rs"), "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(catch(|| 7).unwrap(), 7);
    }
}
