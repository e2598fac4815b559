//! A handler with scripted responses.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, Inbox, Inference, Outcome, Workers,
    delivery::State,
    layer::{Attempt, Failure, InboxBody},
};

use super::acme::{
    Answer, CAPTIONS, Caption, Handler, caption, captions, only_state, send, signed,
};

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
    /// Responds with this status and `Retry-After`.
    RetryAfter(u16, &'static str),
    /// Responds with this status and failure reason.
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

    pub(crate) fn service(&self) -> impl Handler<Body> {
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

/// An inbox in background mode with these workers.
pub(crate) fn inbox_with(archive: impl Archive, workers: Workers) -> Inbox {
    Inbox::builder(archive).model(CAPTIONS, captions()).background(workers).build().unwrap()
}

/// Posts a signed caption.
pub(crate) async fn post(inbox: &Inbox, script: &Script, job: &str) -> Answer {
    send(inbox.layer().layer(script.service()), signed(caption(job))).await
}

/// Returns the reason of the only delivery, which must be dead.
pub(crate) async fn dead_reason(archive: &dyn Archive) -> String {
    match only_state(archive).await {
        State::Outcome(Outcome::Dead { reason, .. }) => reason,
        state => panic!("not dead: {state}"),
    }
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
