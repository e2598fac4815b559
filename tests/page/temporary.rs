//! Temporary endpoints: what senders can do, and what users see of it.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{Router, body::Body};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, request::Parts};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower::ServiceExt;
use tower_inbox::{
    Archive, Inbox, MemoryArchive, Secret,
    archive::Query,
    layer::{Clock, Quarantine},
    page::{Guard, PageService},
    provider::mindee,
    signature::Scheme,
};

use super::support::*;

const HOUR: Duration = Duration::from_secs(3600);
const WRONG: &str = "another battery staple";

/// A result of a custom Mindee model, made up for this test.
const RESULT: &str = r#"{"inference": {
    "id": "inf-1", "job": {"id": "job-1"}, "model": {"id": "model-1"},
    "file": {"name": "tea.pdf", "alias": null, "page_count": 1, "mime_type": "application/pdf"},
    "result": {"fields": {
        "total_amount": {"value": 12.5},
        "growers": {"items": [{"fields": {"name": {"value": "Chen"}}}]}
    }}
}}"#;

/// A page whose clock the test moves.
struct Page {
    archive: MemoryArchive,
    quarantine: MemoryArchive,
    service: PageService,
    seconds: Arc<AtomicU64>,
}

impl Page {
    fn new() -> Self {
        Self::with_guard(Guard::open_to_everyone())
    }

    fn with_guard(guard: Guard) -> Self {
        let (archive, quarantine) = (MemoryArchive::new(), MemoryArchive::new());
        let seconds = Arc::new(AtomicU64::new(1_800_000_000));
        let now = Arc::clone(&seconds);
        let clock =
            move || SystemTime::UNIX_EPOCH + Duration::from_secs(now.load(Ordering::Relaxed));
        let inbox = Inbox::builder(archive.clone())
            .quarantine(Quarantine::new(quarantine.clone()))
            .clock(Clock::new(clock))
            .build()
            .unwrap();
        Self { archive, quarantine, service: inbox.page(guard), seconds }
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }

    fn pass(&self, time: Duration) {
        self.seconds.fetch_add(time.as_secs(), Ordering::Relaxed);
    }

    async fn get(&self, query: &str) -> Answer {
        get(self.service.clone(), query).await
    }

    async fn submit(&self, query: &str, form: &str) -> Answer {
        let request = Request::post(format!("/{query}")).header("sec-fetch-site", "same-origin");
        send(self.service.clone(), request.body(form.to_owned()).unwrap()).await
    }

    /// Creates an endpoint as a click does, and returns its page and path.
    async fn create(&self) -> (String, String) {
        let list = self.get("?view=temporary-endpoints").await;
        let action = list.attributes("action").remove(0);
        let created = self.submit(&action, "").await;
        assert_eq!(created.status, 303, "{}", created.text());
        let link = created.header("location").to_owned();
        let path = self.get(&link).await.attributes("data-path").remove(0);
        (link, path)
    }

    async fn post(&self, path: &str, body: impl Into<String>) -> u16 {
        send(self.service.clone(), Request::post(path).body(body.into()).unwrap()).await.status
    }

    /// Posts a body with the signature that Mindee would add.
    async fn post_signed(&self, path: &str) -> u16 {
        let scheme = mindee::signature(Secret::new(SECRET));
        let signature = scheme.signature("", RESULT.as_bytes(), self.now()).unwrap();
        let (mut head, ()) = Request::post(path).body(()).unwrap().into_parts();
        signature.add_to(&mut head).unwrap();
        send(self.service.clone(), Request::from_parts(head, RESULT.to_owned())).await.status
    }

    /// The links to the requests of an endpoint.
    async fn requests(&self, link: &str) -> Vec<String> {
        let page = self.get(link).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let links = page.attributes("href").into_iter();
        links.filter(|link| link.contains("view=temporary-request")).collect()
    }

    /// The page of the only request.
    async fn request(&self, link: &str) -> Answer {
        let links = self.requests(link).await;
        assert_eq!(links.len(), 1, "{links:?}");
        self.get(&links[0]).await
    }

    /// Checks the signature of the only request.
    async fn check(&self, link: &str, form: &str) -> Answer {
        let action = self.request(link).await.attributes("action").remove(0);
        self.submit(action.split('#').next().unwrap(), form).await
    }
}

fn form(scheme: &str, secret: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("scheme", scheme).append_pair("secret", secret).finish()
}

#[tokio::test]
async fn posted_mindee_result_is_shown_with_head_body_and_struct() {
    let page = Page::new();
    let (link, path) = page.create().await;
    assert!(page.get(&link).await.text().contains("Temporary endpoint 1 created."));
    assert_eq!(page.post_signed(&path).await, 200);
    let text = page.request(&link).await.text();
    for wanted in [
        "POST /temporary/",
        "x-signature",
        "class=\"key\">total_amount<",
        "pub struct Extracted {",
        "pub total_amount: Field&lt;f64&gt;,",
        "pub growers: List&lt;Object&lt;Growers&gt;&gt;,",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let list = page.get("?view=temporary-endpoints").await.text();
    assert!(list.contains("24 h") && list.contains("Temporary endpoint 1"), "{list}");
}

#[tokio::test]
async fn nothing_that_an_endpoint_receives_is_archived() {
    let page = Page::new();
    let (_, path) = page.create().await;
    assert_eq!(page.post_signed(&path).await, 200);
    for archive in [&page.archive, &page.quarantine] {
        assert!(archive.ledger(Query::all()).next().await.is_none());
        assert_eq!(archive.counts().await.unwrap().iter().count(), 0);
    }
}

#[tokio::test]
async fn signature_is_accepted_by_the_right_secret_and_examined_by_the_doctor_for_another() {
    let page = Page::new();
    let (link, path) = page.create().await;
    page.post_signed(&path).await;
    let right = page.check(&link, &form("mindee", SECRET)).await;
    assert_eq!(right.status, 200);
    assert!(right.text().contains("The signature is accepted."), "{}", right.text());
    let wrong = page.check(&link, &form("mindee", WRONG)).await.text();
    assert!(wrong.contains("The signature is rejected:"), "{wrong}");
    assert!(wrong.contains("No known difference makes it match"), "{wrong}");
    let pasted = page.check(&link, &form("mindee", &format!("{SECRET}\n"))).await.text();
    assert!(pasted.contains("would match without the white space around it"), "{pasted}");
    let hmac = form("hmac", SECRET) + "&place=X-Other-Signature";
    let hmac = page.check(&link, &hmac).await;
    assert!(hmac.text().contains("there is a header x-signature"), "{}", hmac.text());
    assert!(!hmac.text().contains("No known difference"), "{}", hmac.text());
    assert!(
        hmac.attributes("value").contains(&"X-Other-Signature".to_owned()),
        "the field is filled again"
    );
}

#[tokio::test]
async fn signature_is_checked_as_of_the_time_of_receipt() {
    let page = Page::new();
    let (link, path) = page.create().await;
    let scheme = tower_inbox::signature::StandardWebhooks::new(Secret::new("whsec_c2VjcmV0"));
    let (mut head, ()) = Request::post(&path).body(()).unwrap().into_parts();
    scheme.signature("msg_1", b"{}", page.now()).unwrap().add_to(&mut head).unwrap();
    let request = Request::from_parts(head, "{}".to_owned());
    assert_eq!(send(page.service.clone(), request).await.status, 200);
    page.pass(2 * HOUR);
    let checked = page.check(&link, &form("standard", "whsec_c2VjcmV0")).await.text();
    assert!(checked.contains("The signature is accepted."), "{checked}");
}

#[tokio::test]
async fn entered_secret_is_in_no_response_log_or_debug() {
    let log = Log::start();
    let page = Page::new();
    let (link, path) = page.create().await;
    page.post_signed(&path).await;
    let mut shown = Vec::new();
    for scheme in ["mindee", "standard", "hmac", "header", "query", "other"] {
        for secret in [SECRET, WRONG] {
            for place in ["", "&place=authorization", "&place=x-signature"] {
                let answer = page.check(&link, &(form(scheme, secret) + place)).await;
                shown.push(format!("{:?} {}", answer.headers, answer.text()));
            }
        }
    }
    let too_long = form("mindee", &SECRET.repeat(1000));
    let too_long = page.check(&link, &too_long).await;
    assert_eq!(too_long.status, 413);
    shown.extend([too_long.text(), page.request(&link).await.text()]);
    shown.push(format!("{:?}", page.service));
    let log = log.end();
    assert!(log.contains("action=\"create-endpoint\""), "{log}");
    let token = path.rsplit('/').next().unwrap();
    assert!(!log.contains(token), "the token is a secret, too: {log}");
    shown.push(log);
    for text in shown {
        assert!(!text.contains("battery"), "{text}");
    }
}

#[tokio::test]
async fn creation_and_deletion_are_logged_with_the_user() {
    let log = Log::start();
    let page = Page::with_guard(Guard::with(|_| Some("alice".to_owned())));
    let (link, path) = page.create().await;
    let delete = page.get(&link).await.attributes("action").remove(0);
    let deleted = page.submit(&delete, "").await;
    assert_eq!(deleted.status, 303);
    assert!(page.get(deleted.header("location")).await.text().contains("endpoint 1 deleted."));
    assert_eq!(page.submit(&delete, "").await.status, 404);
    assert_eq!(page.post(&path, "x").await, 404);
    let log = log.end();
    for action in ["create-endpoint", "delete-endpoint"] {
        let logged = log.lines().find(|line| line.contains(action)).unwrap_or_default();
        assert!(logged.contains("user=\"alice\""), "{action}: {log}");
    }
}

#[tokio::test]
async fn endpoint_and_its_requests_expire_after_24_hours() {
    let page = Page::new();
    let (link, path) = page.create().await;
    page.pass(Duration::from_secs(24 * 60 * 60 - 1));
    assert_eq!(page.post(&path, "x").await, 200);
    let request = page.requests(&link).await.remove(0);
    page.pass(Duration::from_secs(1));
    assert_eq!(page.post(&path, "x").await, 404);
    assert_eq!(page.get(&link).await.status, 404);
    assert_eq!(page.get(&request).await.status, 404);
    assert!(page.get("?view=temporary-endpoints").await.text().contains("No temporary endpoints."));
}

#[tokio::test]
async fn unknown_expired_and_malformed_tokens_have_the_same_404() {
    let page = Page::with_guard(Guard::with(|_| None));
    let open = Page::new();
    let (_, expired) = open.create().await;
    open.pass(HOUR * 24);
    let answer = async |service: &PageService, path: &str, method: Method| {
        let request = Request::builder().method(method).uri(path).body("x".to_owned()).unwrap();
        let answer = send(service.clone(), request).await;
        (answer.status, answer.headers, answer.bytes)
    };
    let wanted = answer(&open.service, &expired, Method::POST).await;
    assert_eq!(wanted.0, 404);
    let zeros = format!("/temporary/{}", "0".repeat(64));
    let long = format!("/temporary/{}", "0".repeat(10_000));
    for path in [&zeros, &long, "/temporary/", "/temporary/a/b", "/temporary/%00", &expired] {
        for method in [Method::POST, Method::PUT, Method::GET, Method::DELETE] {
            assert_eq!(answer(&page.service, path, method).await, wanted, "{path}");
        }
    }
}

#[tokio::test]
async fn put_is_accepted_and_other_methods_are_not() {
    let page = Page::new();
    let (link, path) = page.create().await;
    let of = async |method: Method| {
        let request = Request::builder().method(method).uri(&path).body("x".to_owned()).unwrap();
        send(page.service.clone(), request).await
    };
    assert_eq!(of(Method::PUT).await.status, 200);
    for method in [Method::GET, Method::HEAD, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = of(method).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST, PUT"));
    }
    assert_eq!(page.requests(&link).await.len(), 1);
}

#[tokio::test]
async fn senders_need_no_guard_and_users_do() {
    let is_user = |head: &Parts| head.headers.contains_key("x-user").then(|| "bob".to_owned());
    let page = Page::with_guard(Guard::with(is_user));
    let of = async |method: &str, query: &str| {
        let request = Request::builder().method(method).uri(format!("/{query}"));
        let request = request.header("x-user", "1").body(String::new()).unwrap();
        send(page.service.clone(), request).await
    };
    let created = of("POST", "?action=create-endpoint").await;
    let link = created.header("location").to_owned();
    let path = of("GET", &link).await.attributes("data-path").remove(0);
    assert_eq!(page.post(&path, "from a sender").await, 200);
    let request = "?view=temporary-request&endpoint=1&request=1";
    assert!(of("GET", request).await.text().contains("from a sender"));
    let download = "?download=temporary-request&endpoint=1&request=1";
    assert_eq!(of("GET", download).await.bytes, "from a sender");
    for query in ["?view=temporary-endpoints", &link, request, download] {
        let answer = page.get(query).await;
        assert_eq!((answer.status, answer.text().contains("sender")), (403, false), "{query}");
    }
    for action in ["create-endpoint", "delete-endpoint&endpoint=1"] {
        assert_eq!(page.submit(&format!("?action={action}"), "").await.status, 403);
    }
    let check = "?action=check-signature&endpoint=1&request=1";
    assert_eq!(page.submit(check, &form("mindee", SECRET)).await.status, 403);
    assert_eq!(page.post(&path, "still there").await, 200);
}

#[tokio::test]
async fn another_site_can_post_to_an_endpoint_but_not_create_delete_or_check() {
    let page = Page::new();
    let (_, path) = page.create().await;
    let of = async |target: &str| {
        let request = Request::post(target).header("sec-fetch-site", "cross-site");
        send(page.service.clone(), request.body(form("mindee", SECRET)).unwrap()).await.status
    };
    assert_eq!(of(&path).await, 200);
    for action in
        ["create-endpoint", "delete-endpoint&endpoint=1", "check-signature&endpoint=1&request=1"]
    {
        assert_eq!(of(&format!("/?action={action}")).await, 403, "{action}");
    }
}

#[tokio::test]
async fn number_of_endpoints_is_limited() {
    let page = Page::new();
    for _ in 0..8 {
        page.create().await;
    }
    let rejected = page.submit("?action=create-endpoint", "").await;
    assert_eq!(rejected.status, 409);
    assert!(rejected.text().contains("delete one"), "{}", rejected.text());
    page.pass(HOUR * 24);
    page.create().await;
}

#[tokio::test]
async fn latest_50_requests_are_listed_latest_first() {
    let page = Page::new();
    let (link, path) = page.create().await;
    for number in 1..=51 {
        assert_eq!(page.post(&path, number.to_string()).await, 200);
    }
    let links = page.requests(&link).await;
    let numbers: Vec<u32> =
        links.iter().map(|link| link.rsplit('=').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (2..=51).rev().collect::<Vec<_>>());
    assert!(page.get(&link).await.text().contains("older ones were removed"));
}

#[tokio::test]
async fn body_of_more_than_4_mib_is_answered_413() {
    let page = Page::new();
    let (link, path) = page.create().await;
    assert_eq!(page.post(&path, "x".repeat(4 << 20)).await, 200);
    assert_eq!(page.post(&path, "x".repeat((4 << 20) + 1)).await, 413);
    assert_eq!(page.requests(&link).await.len(), 1);
}

/// A body whose sender never ends it.
fn endless() -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static {
    StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>())
}

#[tokio::test(start_paused = true)]
async fn slow_senders_are_limited_in_number_and_time() {
    let page = Page::new();
    let (link, path) = page.create().await;
    let slow = || {
        let request = Request::post(&path).body(endless()).unwrap();
        tokio::spawn(send(page.service.clone(), request))
    };
    let reading: Vec<_> = std::iter::repeat_with(slow).take(8).collect();
    // The time of the test passes only when all tasks wait, so that each of them has started to read.
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(page.post(&path, "x").await, 503);
    assert_eq!(page.post("/temporary/unknown", "x").await, 404);
    for answer in reading {
        assert_eq!(answer.await.unwrap().status, 408);
    }
    assert_eq!(page.post(&path, "x").await, 200);
    assert_eq!(page.requests(&link).await.len(), 1);
}

#[tokio::test]
async fn hostile_request_is_shown_as_text() {
    let page = Page::new();
    let (link, path) = page.create().await;
    let script = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    let field = serde_json::json!({ "value": null });
    let hostile_result = RESULT
        .replace("\"total_amount\"", &format!("{}: {field}, \"total\"", serde_json::json!(script)));
    for body in [script.to_owned(), serde_json::json!({ script: "\u{202e}" }).to_string()]
        .into_iter()
        .chain([hostile_result, "[".repeat(1 << 20)])
    {
        let request = Request::post(&path)
            .header("content-type", script)
            .header("x-hostile", script.as_bytes());
        let answer = send(page.service.clone(), request.body(body).unwrap()).await;
        assert_eq!(answer.status, 200);
    }
    let mut pages = vec![page.get(&link).await];
    for link in page.requests(&link).await {
        for form in ["", "&body=tree", "&body=text", "&body=hex"] {
            pages.push(page.get(&format!("{link}{form}")).await);
        }
    }
    assert_eq!(pages.len(), 17);
    for answer in pages {
        let text = answer.text();
        assert_eq!(answer.status, 200);
        assert!(!text.contains("<script>") && !text.contains("<img"), "{text}");
        assert!(!text.contains('\u{202e}') && text.contains("&lt;script&gt;"), "{text}");
        assert!(answer.bytes.len() < 1 << 20, "{}", answer.bytes.len());
    }
}

#[tokio::test]
async fn tokens_in_head_and_query_are_not_shown_but_can_be_checked() {
    let page = Page::new();
    let (link, path) = page.create().await;
    let request = Request::post(format!("{path}?ticket=hunter22&street=Elm"))
        .header("authorization", "Bearer swordfish")
        .header("cookie", "id=swordfish")
        .header("x-api-key", "swordfish")
        .body(String::new());
    assert_eq!(send(page.service.clone(), request.unwrap()).await.status, 200);
    let text = page.request(&link).await.text();
    assert!(!text.contains("swordfish") && !text.contains("hunter22"), "{text}");
    assert!(text.contains("?ticket=REDACTED&amp;street=Elm"), "{text}");
    let query = page.check(&link, &(form("query", "hunter22") + "&place=ticket")).await.text();
    assert!(query.contains("The signature is accepted."), "{query}");
    let header = form("header", "swordfish") + "&place=x-api-key";
    let header = page.check(&link, &header).await.text();
    assert!(header.contains("The signature is accepted."), "{header}");
    assert!(!header.contains("swordfish") && !query.contains("hunter22"), "{header}");
}

#[tokio::test]
async fn endpoint_is_reached_below_the_path_of_the_page_in_a_router() {
    let page = Page::new();
    let (link, path) = page.create().await;
    let app: Router = Router::new().nest_service("/inbox", page.service.clone());
    let request = Request::post(format!("/inbox{path}")).body(Body::from("nested")).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let request = Request::get(format!("/inbox{}", page.requests(&link).await[0]));
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("nested"));
}
