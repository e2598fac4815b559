//! A handler with scripted responses.

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
    layer::{Attempt, Failure, InboxBody},
};

use crate::support::Caption;

type Body = Full<Bytes>;

/// A handler that records its runs and responds as the test requires.
#[derive(Clone)]
pub(crate) struct Script {
    replies: Arc<dyn Fn(&Run) -> Reply + Send + Sync>,
    runs: Arc<Mutex<Vec<Run>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) job: String,
    pub(crate) attempt: u32,
    pub(crate) in_background: bool,
    pub(crate) at: Instant,
}

/// How the handler responds.
pub(crate) enum Reply {
    Status(u16),
    /// With this `Retry-After`.
    RetryAfter(u16, &'static str),
    /// With this stated reason.
    Failure(u16, &'static str),
    Panic,
    Never,
    After(Duration, u16),
}

impl Script {
    pub(crate) fn new(replies: impl Fn(&Run) -> Reply + Send + Sync + 'static) -> Self {
        Self { replies: Arc::new(replies), runs: Arc::default() }
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
                let status = match (script.replies)(&run) {
                    Reply::Status(status) => status,
                    Reply::RetryAfter(status, time) => {
                        response.headers_mut().insert("retry-after", time.parse().unwrap());
                        status
                    }
                    Reply::Failure(status, reason) => {
                        response.extensions_mut().insert(Failure::new(reason));
                        status
                    }
                    Reply::Panic => panic!("on purpose"),
                    Reply::Never => std::future::pending().await,
                    Reply::After(time, status) => {
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
