//! Panics of long-lived threads and tasks: caught, logged and counted.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

#[cfg(feature = "metrics")]
const TASK_PANICS: &str = "inbox_task_panics_total";

/// Describes the metric to the exporter.
#[cfg(feature = "metrics")]
pub(crate) fn describe() {
    let unit = metrics::Unit::Count;
    metrics::describe_counter!(TASK_PANICS, unit, "panics of supervised tasks, by task");
}

/// Runs `work`; `None` if it panicked. The panic is logged and counted under the name of the task.
///
/// The caller must keep whatever `work` may have left half done out of use, or tolerate it.
pub(crate) fn catch<T>(task: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panicked(task, &*panic)).ok()
}

/// Logs and counts a panic of a task that was caught elsewhere.
pub(crate) fn panicked(task: &'static str, panic: &(dyn Any + Send)) {
    tracing::error!(task, message = message(panic), "a task panicked");
    #[cfg(feature = "metrics")]
    metrics::counter!(TASK_PANICS, "task" => task).increment(1);
}

/// What the panic said; its location is printed by the panic hook of the process.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The pause before a task is started again after this many panics in a row: 1 second, doubled up to 1 minute.
pub(crate) fn backoff(panics: u32) -> Duration {
    let doublings = panics.saturating_sub(1).min(6);
    Duration::from_secs(1 << doublings).min(Duration::from_mins(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_is_caught_and_its_message_kept() {
        assert_eq!(catch("test", || 7), Some(7));
        assert_eq!(catch("test", || -> u8 { panic!("by the {}", "test") }), None);
        assert_eq!(message(&"literal"), "literal");
        assert_eq!(message(&"formatted".to_owned()), "formatted");
        assert_eq!(message(&7), "no message");
    }

    #[test]
    fn backoff_doubles_up_to_a_minute() {
        let seconds = [0, 1, 2, 3, 6, 7, u32::MAX].map(|panics| backoff(panics).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 32, 60, 60]);
    }
}
