use std::pin::pin;

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::layer::Custody;

/// Answers a sender who has waited for long enough, while its delivery is still being handled.
pub(super) struct Early<O> {
    deadline: Instant,
    answer: oneshot::Sender<O>,
}

/// Only where there are workers: after such an answer nobody else would try again what fails.
pub(super) fn early<O>(custody: &Custody) -> (Option<Early<O>>, Option<oneshot::Receiver<O>>) {
    let deadline = Instant::now().checked_add(custody.terms().answer_within);
    match deadline.filter(|_| custody.schedule().has_workers()) {
        None => (None, None),
        Some(deadline) => {
            let (answer, early_answer) = oneshot::channel();
            (Some(Early { deadline, answer }), Some(early_answer))
        }
    }
}

impl<O> Early<O> {
    /// What `handling` comes to; at the deadline the sender is given `accepted`.
    pub(super) async fn or_of<T>(
        self,
        handling: impl Future<Output = T>,
        accepted: impl FnOnce() -> O,
    ) -> T {
        let mut handling = pin!(handling);
        if let Ok(end) = timeout_at(self.deadline, handling.as_mut()).await {
            return end;
        }
        // Whoever hung up does not want to know.
        drop(self.answer.send(accepted()));
        handling.await
    }
}
