//! A handler that does what a test tells it to.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Service, service_fn};
use tower_inbox::{
    Inference,
    layer::{Attempt, InboxBody},
};

use crate::support::Caption;

type Body = Full<Bytes>;

/// A handler that writes down its runs, and answers what it is told to.
#[derive(Clone)]
pub(crate) struct Script {
    answers: Arc<dyn Fn(&Run) -> Answers + Send + Sync>,
    runs: Arc<Mutex<Vec<Run>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) job: String,
    pub(crate) attempt: u32,
    pub(crate) in_background: bool,
    pub(crate) at: Instant,
}

pub(crate) enum Answers {
    Status(u16),
    RetryAfter(u16, &'static str),
    Panic,
    Never,
    After(Duration, u16),
}

impl Script {
    pub(crate) fn of(answers: impl Fn(&Run) -> Answers + Send + Sync + 'static) -> Self {
        Self { answers: Arc::new(answers), runs: Arc::default() }
    }

    pub(crate) fn runs(&self) -> Vec<Run> {
        self.runs.lock().unwrap().clone()
    }

    pub(crate) fn jobs(&self) -> Vec<String> {
        self.runs().into_iter().map(|run| run.job).collect()
    }

    pub(crate) fn service(
        &self,
    ) -> impl Service<
        Request<InboxBody<Body>>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static {
        let script = self.clone();
        service_fn(move |request: Request<InboxBody<Body>>| {
            let script = script.clone();
            async move {
                let caption: &Inference<Caption> = request.extensions().get().unwrap();
                let attempt: &Attempt = request.extensions().get().unwrap();
                let run = Run {
                    job: caption.job.clone(),
                    attempt: attempt.number(),
                    in_background: attempt.is_in_background(),
                    at: Instant::now(),
                };
                script.runs.lock().unwrap().push(run.clone());
                let mut response = Response::new(Full::default());
                let status = match (script.answers)(&run) {
                    Answers::Status(status) => status,
                    Answers::RetryAfter(status, time) => {
                        response.headers_mut().insert("retry-after", time.parse().unwrap());
                        status
                    }
                    Answers::Panic => panic!("a handler panics, as the test wants"),
                    Answers::Never => std::future::pending().await,
                    Answers::After(time, status) => {
                        tokio::time::sleep(time).await;
                        status
                    }
                };
                *response.status_mut() = status.try_into().unwrap();
                Ok(response)
            }
        })
    }
}
