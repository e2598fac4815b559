use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Product, Webhook, enqueue::Enqueued, job::Job, problem::Problem};

/// The maximum number of jobs, which bounds the memory of the service.
const JOB_LIMIT: usize = 10_000;

/// The jobs and the webhooks of an account.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// By the id of the job.
    jobs: HashMap<String, Job>,
    /// The ids of the jobs, by the id of the inference.
    by_inference: HashMap<String, String>,
    webhooks: HashMap<String, Arc<Webhook>>,
}

impl Store {
    pub(super) fn add_webhook(&mut self, webhook: Webhook) {
        self.webhooks.insert(webhook.id().to_owned(), Arc::new(webhook));
    }

    pub(super) fn remove_webhook(&mut self, id: &str) -> bool {
        self.webhooks.remove(id).is_some()
    }

    /// Returns all webhooks, sorted by id.
    pub(super) fn all_webhooks(&self) -> Vec<Arc<Webhook>> {
        let mut webhooks: Vec<_> = self.webhooks.values().cloned().collect();
        webhooks.sort_by(|one, other| one.id().cmp(other.id()));
        webhooks
    }

    /// Returns the webhooks that the request names.
    pub(super) fn webhooks_of(&self, request: &Enqueued) -> Result<Vec<Arc<Webhook>>, Problem> {
        let find = |id: &String| {
            let detail = || format!("There is no webhook '{}'.", id.escape_debug());
            let found = self.webhooks.get(id).cloned();
            found.ok_or_else(|| Problem::invalid("webhook_ids", detail()))
        };
        request.webhook_ids.iter().map(find).collect()
    }

    /// Adds a job. Removes finished jobs without a result if there are too many jobs.
    pub(super) fn add(&mut self, job: Job, now: Instant) -> Result<(), Problem> {
        self.add_within(JOB_LIMIT, job, now)
    }

    fn add_within(&mut self, limit: usize, job: Job, now: Instant) -> Result<(), Problem> {
        if self.jobs.len() >= limit {
            self.jobs.retain(|_, job| !job.is_over(now));
            self.by_inference.retain(|_, id| self.jobs.contains_key(id));
        }
        if self.jobs.len() >= limit {
            return Err(Problem::too_many(format!("There are already {limit} jobs.")));
        }
        let (job_id, inference_id) = (&job.inference.job_id, &job.inference.id);
        self.by_inference.insert(inference_id.clone(), job_id.clone());
        self.jobs.insert(job_id.clone(), job);
        Ok(())
    }

    pub(super) fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.get(id)
    }

    pub(super) fn job_mut(&mut self, id: &str) -> Option<&mut Job> {
        self.jobs.get_mut(id)
    }

    /// Returns the result of an inference, and deletes it if `delete`.
    pub(super) fn fetch(
        &mut self,
        product: Option<Product>,
        inference_id: &str,
        now: Instant,
        delete: bool,
    ) -> Option<Bytes> {
        let job = self.jobs.get_mut(self.by_inference.get(inference_id)?)?;
        let is_of_product = product.is_none_or(|product| product == job.product);
        let body = job.result(now).filter(|_| is_of_product)?.clone();
        if delete {
            job.delete_result();
        }
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::simulate::mindee::{Inference, job::Phase};

    fn job() -> Job {
        let inference = Inference::sample();
        let (product, created_at) = (Product::Ocr, SystemTime::now());
        Job { product, inference, created_at, phase: Phase::Processing }
    }

    #[tokio::test(start_paused = true)]
    async fn number_of_jobs_is_limited_and_jobs_without_a_result_make_room() {
        let (mut store, now) = (Store::default(), Instant::now());
        let first = job();
        let id = first.inference.job_id.clone();
        store.add_within(2, first, now).unwrap();
        store.add_within(2, job(), now).unwrap();
        assert_eq!(store.add_within(2, job(), now).unwrap_err().status, 429);
        store.job_mut(&id).unwrap().phase = Phase::Finished {
            at: SystemTime::now(),
            outcome: super::super::job::Outcome::Failed(Problem::inference_failed()),
            calls: Vec::new(),
        };
        store.add_within(2, job(), now).unwrap();
        assert!(store.job(&id).is_none());
        assert_eq!((store.jobs.len(), store.by_inference.len()), (2, 2));
    }
}
