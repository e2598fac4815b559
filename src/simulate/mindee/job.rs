use std::time::SystemTime;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Product,
    inference::{Inference, timestamp},
    problem::Problem,
};
use crate::simulate::Answer;

/// A job and its result.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) product: Product,
    pub(super) inference: Inference,
    pub(super) created_at: SystemTime,
    pub(super) phase: Phase,
}

/// How far a job has come.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Processing,
    Finished { at: SystemTime, outcome: Outcome, calls: Vec<Call> },
}

/// How a job ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// With a result, until it is deleted.
    Processed(StoredResult),
    Failed(Problem),
}

/// A result in the storage.
#[derive(Clone, Debug)]
pub(super) enum StoredResult {
    Stored { body: Bytes, until: Instant },
    Deleted,
}

/// The call of a webhook.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) webhook_id: String,
    pub(super) at: SystemTime,
    pub(super) attempts: u32,
    pub(super) state: CallState,
}

#[derive(Clone, Debug)]
pub(super) enum CallState {
    Pending,
    /// 2xx.
    Accepted,
    Failed(Problem),
}

impl Job {
    /// Returns the result, unless the job is not finished, or the result is deleted or expired.
    pub(super) fn result(&self, now: Instant) -> Option<&Bytes> {
        match &self.phase {
            Phase::Finished {
                outcome: Outcome::Processed(StoredResult::Stored { body, until }),
                ..
            } if now < *until => Some(body),
            _ => None,
        }
    }

    /// Deletes the result.
    pub(super) fn delete_result(&mut self) {
        if let Phase::Finished { outcome: Outcome::Processed(result), .. } = &mut self.phase {
            *result = StoredResult::Deleted;
        }
    }

    /// Returns the call of the webhook with this number in the list of the job.
    pub(super) fn call_mut(&mut self, number: usize) -> Option<&mut Call> {
        match &mut self.phase {
            Phase::Finished { calls, .. } => calls.get_mut(number),
            Phase::Processing => None,
        }
    }

    /// Returns true if a webhook has accepted the result, and no call is pending.
    pub(super) fn is_delivered(&self) -> bool {
        let Phase::Finished { calls, .. } = &self.phase else { return false };
        let accepted = |call: &Call| matches!(call.state, CallState::Accepted);
        let pending = |call: &Call| matches!(call.state, CallState::Pending);
        calls.iter().any(accepted) && !calls.iter().any(pending)
    }

    /// Returns true if the job is processed. The API then redirects to the result, also if it is deleted.
    pub(super) fn is_processed(&self) -> bool {
        matches!(self.phase, Phase::Finished { outcome: Outcome::Processed(_), .. })
    }

    /// Returns true if the job is finished and has no result that could be fetched.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Finished { .. }) && self.result(now).is_none()
    }

    pub(super) fn result_url(&self, base_url: &str) -> String {
        format!("{base_url}/v2/products/{}/results/{}", self.product, self.inference.id)
    }

    /// The job as the API returns it.
    pub(super) fn json(&self, base_url: &str) -> Value {
        let (status, completed_at, error, calls) = match &self.phase {
            Phase::Processing => ("Processing", None, None, &[][..]),
            Phase::Finished { at, outcome, calls } => {
                let (status, error) = match outcome {
                    Outcome::Processed(_) => ("Processed", None),
                    Outcome::Failed(problem) => ("Failed", Some(problem.json())),
                };
                (status, Some(timestamp(*at)), error, &**calls)
            }
        };
        let Inference { job_id, model_id, file_name, alias, .. } = &self.inference;
        json!({"job": {
            "id": job_id,
            "model_id": model_id,
            "filename": file_name,
            "alias": alias,
            "created_at": timestamp(self.created_at),
            "completed_at": completed_at,
            "status": status,
            "polling_url": format!("{base_url}/v2/jobs/{job_id}"),
            "result_url": self.is_processed().then(|| self.result_url(base_url)),
            "webhooks": calls.iter().map(Call::json).collect::<Vec<_>>(),
            "error": error,
        }})
    }
}

impl Call {
    pub(super) fn pending(webhook_id: &str, at: SystemTime) -> Self {
        Self { webhook_id: webhook_id.to_owned(), at, attempts: 0, state: CallState::Pending }
    }

    /// Records the response to one attempt. Returns true if no further attempt is needed.
    pub(super) fn record(&mut self, answer: &Answer, is_last: bool) -> bool {
        self.attempts += 1;
        let is_accepted = matches!(answer, Answer::Status(status) if status.is_success());
        if is_accepted {
            self.state = CallState::Accepted;
        } else if is_last {
            self.state = CallState::Failed(Problem::webhook_failed(answer.to_string()));
        }
        is_accepted || is_last
    }

    fn json(&self) -> Value {
        let (status, error) = match &self.state {
            CallState::Pending => ("Processing", None),
            CallState::Accepted => ("Processed", None),
            CallState::Failed(problem) => ("Failed", Some(problem.json())),
        };
        json!({
            "id": self.webhook_id,
            "created_at": timestamp(self.at),
            "status": status,
            "error": error,
            "attempts_count": self.attempts,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::*;
    use crate::provider::mindee::{JobResponse, JobStatus};

    fn finished(outcome: Outcome, calls: Vec<Call>) -> Job {
        let now = SystemTime::now();
        let phase = Phase::Finished { at: now, outcome, calls };
        let inference = Inference::sample();
        Job { product: Product::Ocr, inference, created_at: now, phase }
    }

    fn stored(for_seconds: u64) -> Outcome {
        let until = Instant::now() + Duration::from_secs(for_seconds);
        Outcome::Processed(StoredResult::Stored { body: Bytes::from_static(b"{}"), until })
    }

    #[tokio::test(start_paused = true)]
    async fn result_is_stored_for_its_time() {
        let job = finished(stored(5), Vec::new());
        assert!(job.result(Instant::now()).is_some());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(job.result(Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn job_is_read_by_the_types_of_the_provider() {
        let mut call = Call::pending("w1", SystemTime::now());
        call.record(&Answer::Status(StatusCode::BAD_GATEWAY), true);
        let jobs = [
            Job { phase: Phase::Processing, ..finished(stored(5), Vec::new()) },
            finished(stored(5), vec![call]),
            finished(Outcome::Failed(Problem::inference_failed()), Vec::new()),
        ];
        let statuses = [JobStatus::Processing, JobStatus::Processed, JobStatus::Failed];
        for (job, status) in jobs.into_iter().zip(statuses) {
            let read: JobResponse = serde_json::from_value(job.json("http://h")).unwrap();
            assert_eq!(read.job.status, status);
            assert!(read.other.is_empty() && read.job.other.is_empty());
            assert_eq!(read.job.result_url.is_some(), status == JobStatus::Processed);
            assert_eq!(read.job.error.is_some(), status == JobStatus::Failed);
            assert!(read.job.webhooks.iter().all(|call| call.status == Some(JobStatus::Failed)));
        }
    }

    #[test]
    fn call_fails_after_its_last_attempt_only() {
        let mut call = Call::pending("w1", SystemTime::now());
        assert!(!call.record(&Answer::TimedOut, false));
        assert!(matches!(call.state, CallState::Pending));
        assert!(call.record(&Answer::TimedOut, true));
        assert!(matches!(call.state, CallState::Failed(_)));
        let mut call = Call::pending("w1", SystemTime::now());
        assert!(call.record(&Answer::Status(StatusCode::ACCEPTED), false));
        assert!(matches!(call.state, CallState::Accepted));
    }
}
