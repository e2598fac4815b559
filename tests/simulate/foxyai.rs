//! The simulated API of FoxyAI: groups, images, snapshots, and webhooks that fail.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::post};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_inbox::{
    Inbox, Inference, MemoryArchive, Secret,
    provider::{
        Payload,
        foxyai::{self, Image, ImageGroup, Status},
    },
    signature::Unsigned,
    simulate::{Fault, FoxyAi, FoxyAiBuilder, Payloads, Retries, Sender, Target},
};

use crate::support::{SECRET, archived, serve};

const GROUPS: &str = "/hooks/groups";
const IMAGES: &str = "/hooks/images";

/// A receiver of groups and images, whose handler keeps the newest state of the group.
struct Receiver {
    inbox: Inbox,
    newest: Arc<Mutex<Option<ImageGroup>>>,
    address: std::net::SocketAddr,
}

impl Receiver {
    async fn start() -> Self {
        let secret = || Secret::new(SECRET);
        let inbox = Inbox::builder(MemoryArchive::new())
            .model(GROUPS, foxyai::image_group().token_in_query("token", secret()))
            .model(IMAGES, foxyai::image().token_in_query("token", secret()))
            .build()
            .unwrap();
        let newest = Arc::new(Mutex::new(None::<ImageGroup>));
        let keeping = Arc::clone(&newest);
        let on_group = async move |group: Inference<ImageGroup>| {
            let mut newest = keeping.lock().unwrap();
            if newest.as_ref().is_none_or(|newest| group.is_newer_than(newest)) {
                *newest = Some((*group).clone());
            }
        };
        let routes = Router::new()
            .route(GROUPS, post(on_group))
            .route(IMAGES, post(async |_: Inference<Image>| ()));
        let (address, _) = serve(routes.layer(inbox.layer())).await;
        Self { inbox, newest, address }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}?token={}", self.address, SECRET.replace(' ', "%20"))
    }
}

async fn send(foxyai: &FoxyAi, request: Request<String>) -> (StatusCode, Value) {
    let response = foxyai.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn create(foxyai: &FoxyAi, path: &str, body: Value) -> Value {
    let request = Request::post(path).body(body.to_string()).unwrap();
    let (status, created) = send(foxyai, request).await;
    assert_eq!(status, 200, "{created}");
    created
}

async fn results(foxyai: &FoxyAi, group: &Value) -> Value {
    let path = format!("/image-group/{}/results", group["_id"].as_str().unwrap());
    let (status, results) = send(foxyai, Request::get(path).body(String::new()).unwrap()).await;
    assert_eq!(status, 200, "{results}");
    results
}

fn image(group: &Value, models: &[&str]) -> Value {
    json!({"url": "https://example.com/a.jpg", "models": models, "imageGroups": [group["_id"]]})
}

/// An account that retries after milliseconds.
fn impatient() -> FoxyAiBuilder {
    let retries = Retries::default().initial_backoff(Duration::from_millis(1));
    FoxyAi::builder().retries(retries.max_backoff(Duration::from_millis(10)))
}

#[tokio::test]
async fn inbox_gets_every_snapshot_and_ends_with_the_newest_state() {
    let (receiver, foxyai) = (Receiver::start().await, FoxyAi::builder().build());
    let body = json!({"name": "Mill Lane 3", "ticket": 7, "webhookUrl": receiver.url(GROUPS)});
    let group = create(&foxyai, "/image-group", body).await;
    assert_eq!((&group["status"], &group["images"]), (&json!("completed"), &json!([])));
    let mut images = [
        image(&group, &["condition_score", "room_classification"]),
        image(&group, &["finish_detection"]),
    ];
    images[0]["webhookUrl"] = receiver.url(IMAGES).into();
    let created = create(&foxyai, "/image/batch", json!({ "images": images })).await;
    assert_eq!(
        (&created["status"], &created["images"][1]["status"]),
        (&json!("ok"), &json!("processing"))
    );
    foxyai.idle().await;
    receiver.inbox.settled().await;

    let bodies = archived(&receiver.inbox).await;
    let groups: Vec<_> = bodies.iter().filter_map(|body| ImageGroup::decode(body).ok()).collect();
    let images: Vec<_> = bodies.iter().filter_map(|body| Image::decode(body).ok()).collect();
    // After the images were added, and after each of three model runs; two of them are of the first image.
    assert_eq!((groups.len(), images.len(), bodies.len()), (4, 2, 6));
    let mut versions: Vec<_> = groups.iter().map(ImageGroup::updated).collect();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 4, "each snapshot has its own updatedAt");
    let runs =
        |group: &ImageGroup| -> usize { group.images.iter().map(|image| image.models.len()).sum() };
    let mut numbers: Vec<_> = groups.iter().map(runs).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);

    let newest = receiver.newest.lock().unwrap().clone().unwrap();
    assert_eq!(newest.status, Some(Status::Completed));
    let results = results(&foxyai, &group).await;
    assert_eq!(serde_json::to_value(&newest).unwrap(), results);
    assert_eq!(
        (&results["metaData"], &results["computedMetrics"]["condition"]),
        (&json!({"ticket": 7}), &json!({"ImageGroupCondition": 4.25}))
    );
}

/// A receiver that answers with this status for a number of requests, and then with 200. Counts the requests.
async fn failing(status: StatusCode, times: u32) -> (String, Arc<AtomicU32>) {
    let requests = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&requests);
    let handler = async move || {
        let number = counting.fetch_add(1, Ordering::SeqCst);
        if number < times { status } else { StatusCode::OK }
    };
    let (address, _) = serve(Router::new().route("/", post(handler))).await;
    (format!("http://{address}/"), requests)
}

#[tokio::test]
async fn snapshot_is_retried_until_it_is_accepted() {
    let (url, requests) = failing(StatusCode::SERVICE_UNAVAILABLE, 5).await;
    let foxyai = impatient().build();
    let body = json!({"url": "https://example.com/a.jpg", "models": ["hole"], "webhookUrl": url});
    create(&foxyai, "/image", body).await;
    foxyai.idle().await;
    assert_eq!(requests.load(Ordering::SeqCst), 6);
    assert!(foxyai.unhealthy_servers().is_empty());
}

#[tokio::test]
async fn unhealthy_server_is_given_up_after_a_number_of_failures() {
    let (url, requests) = failing(StatusCode::INTERNAL_SERVER_ERROR, u32::MAX).await;
    let foxyai = impatient().max_failures(NonZeroU32::new(4).unwrap()).build();
    let image = json!({"url": "https://example.com/a.jpg", "models": ["hole"], "webhookUrl": url});
    create(&foxyai, "/image", image.clone()).await;
    foxyai.idle().await;
    assert_eq!(requests.load(Ordering::SeqCst), 4, "fewer than the attempts of one snapshot");
    let server = url.trim_start_matches("http://").trim_end_matches('/');
    assert_eq!(foxyai.unhealthy_servers(), [server]);
    create(&foxyai, "/image", image).await;
    foxyai.idle().await;
    assert_eq!(requests.load(Ordering::SeqCst), 4, "later snapshots are not posted");
}

#[tokio::test]
async fn webhook_that_answers_410_is_not_retried() {
    let (url, requests) = failing(StatusCode::GONE, u32::MAX).await;
    let foxyai = impatient().build();
    let body = json!({"url": "https://example.com/a.jpg", "models": ["hole"], "webhookUrl": url});
    create(&foxyai, "/image", body).await;
    foxyai.idle().await;
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn more_updates_than_are_posted_at_once_all_arrive() {
    let (url, requests) = failing(StatusCode::OK, 0).await;
    let foxyai = FoxyAi::builder().build();
    let group = create(&foxyai, "/image-group", json!({ "webhookUrl": url })).await;
    let images = vec![image(&group, &["hole", "gutter"]); 30];
    create(&foxyai, "/image/batch", json!({ "images": images })).await;
    foxyai.idle().await;
    assert_eq!(requests.load(Ordering::SeqCst), 61);
    assert_eq!(results(&foxyai, &group).await["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn models_fill_up_while_an_image_is_processing() {
    let foxyai = FoxyAi::builder()
        .processing_time(Duration::from_secs(10))
        .failing_model("hole")
        .result(
            "quality_score",
            json!([{"annotationType": "SCORE", "class": "Quality", "score": 1}]),
        )
        .build();
    let group = create(&foxyai, "/image-group", json!({})).await;
    create(&foxyai, "/image", image(&group, &["quality_score", "hole"])).await;
    for (seconds, runs, status) in
        [(5, 0, "processing"), (10, 1, "processing"), (10, 2, "partial_failure")]
    {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let results = results(&foxyai, &group).await;
        let image = &results["images"][0];
        assert_eq!(
            (image["models"].as_object().unwrap().len(), &results["status"]),
            (runs, &json!(status)),
            "{results}"
        );
    }
    let results = results(&foxyai, &group).await;
    let models = &results["images"][0]["models"];
    assert_eq!(
        (&models["quality_score"]["results"][0]["score"], &models["hole"]["status"]),
        (&json!(1), &json!("failed"))
    );
}

#[tokio::test]
async fn missing_and_wrong_bearer_keys_are_unauthorized() {
    let status = async |foxyai: &FoxyAi, key: Option<&str>| {
        let mut request = Request::get("/image-group/g1/results");
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, key);
        }
        send(foxyai, request.body(String::new()).unwrap()).await.0.as_u16()
    };
    let foxyai = FoxyAi::builder().api_key(Secret::new("key-1")).build();
    assert_eq!(status(&foxyai, None).await, 401);
    assert_eq!(status(&foxyai, Some("key-1")).await, 401);
    assert_eq!(status(&foxyai, Some("Bearer key-2")).await, 401);
    assert_eq!(status(&foxyai, Some("Bearer key-1")).await, 404);
    assert_eq!(status(&FoxyAi::builder().build(), None).await, 404);
}

#[tokio::test]
async fn invalid_requests_are_rejected() {
    let foxyai = FoxyAi::builder().build();
    let long = format!("{{\"name\": \"{}\"}}", "a".repeat(200_000));
    let elsewhere = json!({"webhookUrl": "http://example.com/"}).to_string();
    let unknown = image(&json!({"_id": "g1"}), &["hole"]).to_string();
    for (method, path, body, expected) in [
        ("POST", "/image-group", "{", 400),
        ("POST", "/image-group", &long, 400),
        ("POST", "/image-group", &elsewhere, 400),
        ("POST", "/image", &unknown, 400),
        ("POST", "/image/batch", "{}", 400),
        ("GET", "/image-group", "", 404),
        ("POST", "/image-group/g1/results", "", 404),
        ("GET", "/", "", 404),
    ] {
        let request = Request::builder().method(method).uri(path).body(body.to_owned()).unwrap();
        let (status, problem) = send(&foxyai, request).await;
        assert_eq!(status, expected, "{path}: {problem}");
        assert_eq!(problem["statusCode"], expected);
    }
    let allowed = FoxyAi::builder().webhook_host("example.com").build();
    create(&allowed, "/image-group", json!({"webhookUrl": "http://example.com/"})).await;
}

#[tokio::test]
async fn inbox_keeps_every_snapshot_of_a_group_under_faults_of_an_unsigned_sender() {
    let receiver = Receiver::start().await;
    let target = Target::url(&receiver.url(GROUPS)).unwrap();
    let sender = Sender::new(target, Unsigned);
    let snapshots = Payloads::of_foxyai();
    let faults = [
        Fault::None,
        Fault::LateOlderState,
        Fault::Duplicate,
        Fault::HangUp,
        Fault::CutBody,
        Fault::ConcurrentDuplicate,
        Fault::UnknownValue,
    ];
    for (payloads, fault) in snapshots.iter().zip(faults) {
        for report in sender.run(fault, payloads).await.unwrap() {
            assert!(report.is_expected(), "{report:?}");
        }
    }
    receiver.inbox.settled().await;
    assert_eq!(archived(&receiver.inbox).await.len(), snapshots.len());
    let newest = receiver.newest.lock().unwrap().clone().unwrap();
    assert_eq!(
        newest.status,
        Some("SimulatedUnknown".into()),
        "the last snapshot has an unknown status"
    );
}
