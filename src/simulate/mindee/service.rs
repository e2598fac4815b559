use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header, request::Parts, uri::Authority};
use http_body::Body;
use http_body_util::Full;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep},
};
use tower_service::Service;

use super::{
    MindeeBuilder, Product, Webhook,
    enqueue::{self, Enqueued},
    inference::{Inference, new_id},
    job::{Call, Job, Outcome, Phase, StoredResult},
    problem::Problem,
    search::Search,
    settings::Settings,
    store::Store,
};
use crate::{
    layer::BoxError,
    signature::Scheme,
    simulate::{
        Answer,
        payloads::to_bytes,
        plan::Framing,
        server::{self, Jobs, json},
        wire::{Timing, exchange},
    },
};

/// The maximum time from a connection to a webhook to its response. Mindee publishes none.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// The API of Mindee V2 as a tower service, with an account in memory.
///
/// | request | response |
/// |---|---|
/// | `POST /v2/products/{product}/enqueue` | 202 and the job. Multipart form, URL-encoded form or JSON, with `model_id`, a file, a URL or base64, and any number of `webhook_ids` |
/// | `GET /v2/jobs/{id}` | 200 and the job; 302 and the job once it is processed, unless `?redirect=false` |
/// | `GET /v2/products/{product}/results/{id}` | 200 and the result while it is stored |
/// | `GET /v2/search/models` | 200 and the [models](MindeeBuilder::model) with their webhooks, in pages. `name` selects by a part of the name, `model_type` by the product |
///
/// The paths `/v2/inferences/enqueue` and `/v2/inferences/{id}` of older clients are served too. Errors are in Mindee's
/// format: 401 without an API key, 404, 422 for invalid requests and unknown webhooks, and 429 above 10,000 jobs.
///
/// When a job is finished, its result, or its failure, is posted to each webhook of the request, and each call is recorded
/// in the job. Files are read and not kept. URLs in responses begin with the `Host` of the request, and with `https` behind
/// a proxy that sets `X-Forwarded-Proto`.
///
/// Clones share the account. Jobs run in tasks of the tokio runtime, also after the last clone is dropped.
///
/// ```
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_inbox::simulate::Mindee;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mindee = Mindee::builder().build();
/// let enqueue = Request::post("/v2/products/extraction/enqueue")
///     .header("authorization", "md_key")
///     .header("content-type", "application/x-www-form-urlencoded")
///     .body("model_id=m1&url=https://example.com/tea.pdf".to_owned())?;
/// let response = mindee.oneshot(enqueue).await?;
/// assert_eq!(response.status(), 202);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mindee {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    store: Mutex<Store>,
    jobs: Jobs,
}

impl Mindee {
    /// Starts an account without webhooks.
    pub fn builder() -> MindeeBuilder {
        MindeeBuilder::new()
    }

    pub(super) fn new(builder: MindeeBuilder) -> Self {
        let mut store = Store::default();
        for webhook in builder.webhooks {
            store.add_webhook(webhook);
        }
        let (settings, store) = (builder.settings, Mutex::new(store));
        Self { shared: Arc::new(Shared { settings, store, jobs: Jobs::default() }) }
    }

    /// Adds a webhook endpoint. Replaces the one with the same id.
    pub fn add_webhook(&self, webhook: Webhook) {
        self.shared.store().add_webhook(webhook);
    }

    /// Deletes a webhook endpoint: from then on, requests that name it are answered 422. Returns false if there is none with
    /// this id.
    pub fn delete_webhook(&self, id: &str) -> bool {
        self.shared.store().remove_webhook(id)
    }

    /// Waits until all jobs are finished, and all their webhooks were called.
    pub async fn idle(&self) {
        self.shared.jobs.idle().await;
    }

    /// Serves HTTP/1 on this listener. Never returns; drop the future to stop.
    pub async fn serve(self, listener: TcpListener) {
        server::serve(listener, self).await;
    }
}

impl<B> Service<Request<B>> for Mindee
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    // Boxed, because reading an upload is an async function, whose type has no name.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let response = shared.respond(request).await;
            Ok(response.unwrap_or_else(|problem| json(problem.status, problem.body())))
        })
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond<B>(
        self: Arc<Self>,
        request: Request<B>,
    ) -> Result<Response<Full<Bytes>>, Problem>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (head, body) = request.into_parts();
        self.authorize(&head)?;
        let base_url = base_url(&head);
        match Route::of(&head.method, &head.uri)? {
            Route::Enqueue(product) => {
                let request = enqueue::read(&head.headers, body).await?;
                let job = self.enqueue(product, request, &base_url)?;
                Ok(json(StatusCode::ACCEPTED, job))
            }
            Route::Job { id, redirect } => self.poll(id, redirect, &base_url),
            Route::Result { product, id } => {
                let delete = self.settings.delete_when_fetched;
                let body = self.store().fetch(product, id, Instant::now(), delete);
                let body = body.ok_or_else(|| Problem::not_found("There is no such result."))?;
                Ok(json(StatusCode::OK, body))
            }
            Route::Search(query) => {
                let search = Search::parse(query)?;
                let webhooks = self.store().all_webhooks();
                let page = search.page(&self.settings.models, &webhooks);
                Ok(json(StatusCode::OK, to_bytes(&page)))
            }
        }
    }

    fn authorize(&self, head: &Parts) -> Result<(), Problem> {
        let given = head.headers.get(header::AUTHORIZATION);
        let is_accepted = match &self.settings.api_key {
            Some(key) => key.verify(head, b"", SystemTime::now()).is_ok(),
            None => given.is_some_and(|key| !key.is_empty()),
        };
        if is_accepted { Ok(()) } else { Err(Problem::unauthorized()) }
    }

    fn enqueue(
        self: &Arc<Self>,
        product: Product,
        request: Enqueued,
        base_url: &str,
    ) -> Result<Bytes, Problem> {
        let mut store = self.store();
        let webhooks = store.webhooks_of(&request)?;
        let inference = Inference {
            id: new_id(),
            job_id: new_id(),
            model_id: request.model_id,
            file_name: request.file_name,
            alias: request.alias,
            mime_type: request.mime_type.unwrap_or_else(|| "application/pdf".to_owned()),
        };
        let job_id = inference.job_id.clone();
        let created_at = SystemTime::now();
        let job = Job { product, inference, created_at, phase: Phase::Processing };
        let response = to_bytes(&job.json(base_url));
        store.add(job, Instant::now())?;
        let (shared, running) = (Arc::clone(self), self.jobs.start());
        tokio::spawn(async move {
            shared.process(&job_id, webhooks).await;
            drop(running);
        });
        Ok(response)
    }

    fn poll(
        &self,
        id: &str,
        redirect: bool,
        base_url: &str,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let store = self.store();
        let job = store.job(id).ok_or_else(|| Problem::not_found("There is no such job."))?;
        let mut response = json(StatusCode::OK, to_bytes(&job.json(base_url)));
        if let (true, true, Ok(location)) =
            (redirect, job.is_processed(), job.result_url(base_url).parse())
        {
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    /// Finishes a job, and calls its webhooks.
    async fn process(self: &Arc<Self>, job_id: &str, webhooks: Vec<Arc<Webhook>>) {
        sleep(self.settings.processing_time).await;
        let Some(body) = self.finish(job_id, &webhooks) else { return };
        let mut calls = JoinSet::new();
        for (number, webhook) in webhooks.into_iter().enumerate() {
            let (shared, job_id, body) = (Arc::clone(self), job_id.to_owned(), body.clone());
            calls.spawn(async move { shared.deliver(&job_id, number, &webhook, body).await });
        }
        calls.join_all().await;
        if self.settings.delete_when_fetched
            && let Some(job) = self.store().job_mut(job_id)
            && job.is_delivered()
        {
            job.delete_result();
        }
    }

    /// Records the end of a job. Returns the body for its webhooks.
    fn finish(&self, job_id: &str, webhooks: &[Arc<Webhook>]) -> Option<Bytes> {
        let mut store = self.store();
        let job = store.job_mut(job_id)?;
        let at = SystemTime::now();
        let (outcome, body) = if self.settings.failing.contains(&job.inference.model_id) {
            (Outcome::Failed(Problem::inference_failed()), to_bytes(&job.inference.failure()))
        } else {
            let body = to_bytes(&self.result_of(job));
            let until = Instant::now() + self.settings.storage;
            (Outcome::Processed(StoredResult::Stored { body: body.clone(), until }), body)
        };
        let calls = webhooks.iter().map(|webhook| Call::pending(webhook.id(), at)).collect();
        job.phase = Phase::Finished { at, outcome, calls };
        Some(body)
    }

    fn result_of(&self, job: &Job) -> serde_json::Value {
        let Settings { results, default_result, .. } = &self.settings;
        let given = results.get(&job.inference.model_id).or(default_result.as_ref());
        let Some(result) = given else {
            return job.inference.result(job.product);
        };
        let mut result = result.clone();
        job.inference.identify(&mut result);
        result
    }

    async fn deliver(&self, job_id: &str, number: usize, webhook: &Webhook, body: Bytes) {
        for attempt in 1..=webhook.attempts.get() {
            if attempt > 1 {
                sleep(webhook.retry_delay).await;
            }
            let answer = post(webhook, body.clone()).await;
            let is_last = attempt == webhook.attempts.get();
            let mut store = self.store();
            let call = store.job_mut(job_id).and_then(|job| job.call_mut(number));
            if call.is_none_or(|call| call.record(&answer, is_last)) {
                return;
            }
        }
    }
}

/// Posts a result to a webhook once.
async fn post(webhook: &Webhook, body: Bytes) -> Answer {
    if webhook.is_lost {
        return Answer::Unreachable("the simulated webhook is lost".to_owned());
    }
    let request = webhook.target.request(body).map_err(|error| error.to_string());
    let signed = request.and_then(|request| {
        let (mut head, body) = request.into_parts();
        let signature = webhook.scheme.signature("", &body, SystemTime::now());
        let added = signature.and_then(|signature| signature.add_to(&mut head));
        added.map(|()| Request::from_parts(head, body)).map_err(|error| error.to_string())
    });
    match signed {
        Ok(request) => {
            let timing = Timing { pause: Duration::ZERO, timeout: WEBHOOK_TIMEOUT };
            exchange(&webhook.target, request, Framing::Whole, timing).await
        }
        Err(reason) => Answer::Unreachable(reason),
    }
}

/// A request to the API.
#[derive(Debug, PartialEq, Eq)]
enum Route<'u> {
    Enqueue(Product),
    Job {
        id: &'u str,
        redirect: bool,
    },
    /// Without a product on the path of older clients.
    Result {
        product: Option<Product>,
        id: &'u str,
    },
    /// With the query.
    Search(&'u str),
}

impl<'u> Route<'u> {
    fn of(method: &Method, uri: &'u Uri) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("There is no such path.");
        let segments: Vec<_> = uri.path().trim_start_matches('/').split('/').collect();
        let product = |name: &str| name.parse::<Product>().map_err(|_| unknown());
        let route = match *segments {
            ["v2", "inferences", "enqueue"] => Self::Enqueue(Product::Extraction),
            ["v2", "products", name, "enqueue"] => Self::Enqueue(product(name)?),
            ["v2", "search", "models"] => Self::Search(uri.query().unwrap_or_default()),
            ["v2", "jobs", id] => {
                let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
                let redirect =
                    !pairs.into_iter().any(|pair| pair == ("redirect".into(), "false".into()));
                Self::Job { id, redirect }
            }
            ["v2", "inferences", id] => Self::Result { product: None, id },
            ["v2", "products", name, "results", id] => {
                Self::Result { product: Some(product(name)?), id }
            }
            _ => return Err(unknown()),
        };
        let expected = if matches!(route, Self::Enqueue(_)) { Method::POST } else { Method::GET };
        if *method == expected { Ok(route) } else { Err(unknown()) }
    }
}

/// Returns the beginning of URLs in responses. A host that is missing or invalid is replaced by `localhost`. Behind a proxy
/// that ends TLS, URLs are `https`, as its clients use.
fn base_url(head: &Parts) -> String {
    let is_https = head.headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let scheme = if is_https { "https" } else { "http" };
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    let host = host.or_else(|| head.uri.authority().cloned());
    let host = host.as_ref().map_or("localhost", Authority::as_str);
    format!("{scheme}://{host}")
}
