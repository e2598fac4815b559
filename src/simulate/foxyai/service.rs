use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::SystemTime,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, request::Parts};
use http_body::Body;
use http_body_util::Full;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::sleep,
};
use tower_service::Service;

use super::{
    FoxyAiBuilder,
    delivery::Snapshot,
    problem::Problem,
    request::{self, BODY_LIMIT, NewImage},
    sample,
    settings::Settings,
    store::Store,
};
use crate::{
    layer::BoxError,
    signature::{Scheme, Unsigned},
    simulate::{
        Sender,
        payloads::to_bytes,
        server::{self, Jobs, json as json_response},
    },
};

/// The maximum number of updates whose snapshots are posted or wait for a retry. Further model runs wait, which bounds
/// the memory of the service.
const CONCURRENT_UPDATES: usize = 16;

/// The API of FoxyAI as a tower service, with an account in memory.
///
/// | request | response |
/// |---|---|
/// | `POST /image-group` | the group. JSON with `name`, `webhookUrl` and metadata |
/// | `POST /image` | the image. JSON with `url`, `models`, `webhookUrl` and `imageGroups` |
/// | `POST /image/batch` | `status` and `images`. JSON with `images`, and `webhookUrl` and `imageGroups` for all of them |
/// | `GET /image-group/{id}/results` | the group with its images |
///
/// A snapshot is posted to the `webhookUrl` of an image after each of its model runs, and to that of a group after images
/// were added and after each model run. `updatedAt` is later in each. Posts are retried until they are accepted, each
/// snapshot on its own, so that an older one can arrive after a newer one. Posts are not signed: the URL is the secret.
/// It must be `http://`, and on the loopback interface unless [another host](FoxyAiBuilder::webhook_host) is allowed.
///
/// **Assumptions.** FoxyAI publishes neither the format of posts nor numbers. These are ours: the posted body is that of
/// the GET; other members of a group are its metadata; the statuses 200, 400, 401, 404 and 429, and the format of errors;
/// the retries, and that 410 ends them; the limits of 1,000 groups, 10,000 images, 500 images for each group, and 128 KiB
/// for each request. Any name of a model is accepted. Images are not downloaded. At most 16 updates are posted at once,
/// and further model runs wait.
///
/// Clones share the account. Images are processed in tasks of the tokio runtime, also after the last clone is dropped.
///
/// ```
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_inbox::simulate::FoxyAi;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let foxyai = FoxyAi::builder().build();
/// let create = Request::post("/image-group")
///     .body(r#"{"name": "Mill Lane 3", "webhookUrl": "http://127.0.0.1:3000/hooks/foxyai?token=T"}"#.to_owned())?;
/// let response = foxyai.oneshot(create).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FoxyAi {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    store: Mutex<Store>,
    updates: Arc<Semaphore>,
    jobs: Jobs,
}

impl FoxyAi {
    /// Starts an account without groups.
    pub fn builder() -> FoxyAiBuilder {
        FoxyAiBuilder::new()
    }

    pub(super) fn new(settings: Settings) -> Self {
        let shared = Shared {
            store: Mutex::new(Store::new(settings.max_failures)),
            settings,
            updates: Arc::new(Semaphore::new(CONCURRENT_UPDATES)),
            jobs: Jobs::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until all images are processed, and all their snapshots are accepted or given up.
    pub async fn idle(&self) {
        self.shared.jobs.idle().await;
    }

    /// Returns the servers that are [unhealthy](FoxyAiBuilder::max_failures), as host and port.
    pub fn unhealthy_servers(&self) -> Vec<String> {
        self.shared.store().health.given_up()
    }

    /// Serves HTTP/1 on this listener. Never returns; drop the future to stop.
    pub async fn serve(self, listener: TcpListener) {
        server::serve(listener, self).await;
    }
}

impl<B> Service<Request<B>> for FoxyAi
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    // Boxed, because reading a body is an async function, whose type has no name.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            Ok(match shared.respond(request).await {
                Ok(body) => json_response(StatusCode::OK, body),
                Err(problem) => json_response(problem.status, problem.body()),
            })
        })
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond<B>(self: Arc<Self>, request: Request<B>) -> Result<Bytes, Problem>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (head, body) = request.into_parts();
        self.authorize(&head)?;
        let route = Route::of(&head.method, head.uri.path())?;
        let hosts = &self.settings.hosts;
        let read = async || server::read_whole(body, BODY_LIMIT).await.map_err(Problem::invalid);
        match route {
            Route::CreateGroup => {
                let new = request::group(&read().await?, hosts)?;
                let mut store = self.store();
                let id = store.add_group(new, SystemTime::now())?;
                Ok(to_bytes(&json!(store.group(&id))))
            }
            Route::CreateImage => {
                let new = request::image(&read().await?, hosts)?;
                let images = self.start(vec![new])?;
                Ok(to_bytes(&json!(images.first())))
            }
            Route::CreateImages => {
                let new = request::batch(&read().await?, hosts)?;
                let images = self.start(new)?;
                Ok(to_bytes(&json!({"status": "ok", "images": images})))
            }
            Route::Results(id) => {
                let group = self.store().group(id);
                let group = group.ok_or_else(|| Problem::not_found("There is no such group."))?;
                Ok(to_bytes(&group))
            }
        }
    }

    fn authorize(&self, head: &Parts) -> Result<(), Problem> {
        match &self.settings.api_key {
            Some(key) if key.verify(head, b"", SystemTime::now()).is_err() => {
                Err(Problem::unauthorized())
            }
            _ => Ok(()),
        }
    }

    /// Adds images, and starts to process them. Returns them as they were added.
    fn start(self: &Arc<Self>, new: Vec<NewImage>) -> Result<Vec<serde_json::Value>, Problem> {
        let models: Vec<_> = new.iter().map(|image| image.models.clone()).collect();
        let mut store = self.store();
        let ids = store.add_images(new, SystemTime::now())?;
        let images = ids.iter().filter_map(|id| store.image(id)).collect();
        drop(store);
        let (shared, running) = (Arc::clone(self), self.jobs.start());
        tokio::spawn(async move {
            shared.process_all(ids, models).await;
            drop(running);
        });
        Ok(images)
    }

    /// Posts the groups with their new images, and processes the images at the same time.
    async fn process_all(self: Arc<Self>, ids: Vec<String>, models: Vec<Vec<String>>) {
        self.update(|store| store.group_snapshots(&ids)).await;
        let mut processing = JoinSet::new();
        for (id, models) in ids.into_iter().zip(models) {
            let shared = Arc::clone(&self);
            processing.spawn(async move { shared.process(id, models).await });
        }
        processing.join_all().await;
    }

    async fn process(self: Arc<Self>, image_id: String, models: Vec<String>) {
        let ids = [image_id];
        let [image_id] = &ids;
        for model in models {
            sleep(self.settings.processing_time).await;
            let is_failing = self.settings.failing.contains(&model);
            let outcome = sample::outcome(&model, &self.settings.results, is_failing);
            self.update(|store| {
                store.end_run(image_id, &model, outcome, SystemTime::now());
                let image = store.image_snapshot(image_id);
                image.into_iter().chain(store.group_snapshots(&ids)).collect()
            })
            .await;
        }
    }

    /// Waits until not too many snapshots are posted, changes the account, and starts to post the snapshots.
    async fn update(self: &Arc<Self>, change: impl FnOnce(&mut Store) -> Vec<Snapshot>) {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&self.updates).acquire_owned().await else { return };
        let snapshots = change(&mut self.store());
        self.post_all(snapshots, permit);
    }

    fn post_all(self: &Arc<Self>, snapshots: Vec<Snapshot>, permit: OwnedSemaphorePermit) {
        let (shared, running) = (Arc::clone(self), self.jobs.start());
        tokio::spawn(async move {
            let mut posting = JoinSet::new();
            for snapshot in snapshots {
                let shared = Arc::clone(&shared);
                posting.spawn(async move { shared.post(snapshot).await });
            }
            posting.join_all().await;
            drop((permit, running));
        });
    }

    /// Posts a snapshot until it is accepted, or it or its server is given up.
    async fn post(&self, snapshot: Snapshot) {
        let Snapshot { webhook, body } = snapshot;
        let server = webhook.server().to_owned();
        let mut message =
            Sender::new(webhook.target, Unsigned).message(body, self.settings.retries);
        loop {
            message.due().await;
            if self.store().health.is_given_up(&server) {
                return;
            }
            // A request that cannot be built is not retried.
            let Ok(Some(report)) = message.post().await else { return };
            self.store().health.record(&server, &report);
        }
    }
}

/// A request to the API.
#[derive(Debug, PartialEq, Eq)]
enum Route<'u> {
    CreateGroup,
    CreateImage,
    CreateImages,
    Results(&'u str),
}

impl<'u> Route<'u> {
    fn of(method: &Method, path: &'u str) -> Result<Self, Problem> {
        let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match (method, &*segments) {
            (&Method::POST, ["image-group"]) => Ok(Self::CreateGroup),
            (&Method::POST, ["image"]) => Ok(Self::CreateImage),
            (&Method::POST, ["image", "batch"]) => Ok(Self::CreateImages),
            (&Method::GET, ["image-group", id, "results"]) => Ok(Self::Results(id)),
            _ => Err(Problem::not_found("There is no such path.")),
        }
    }
}
