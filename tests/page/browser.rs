//! The page in Chromium. Needs Debian's packages `chromium` and `chromium-driver`; see CONTRIBUTING.md.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use axum::Router;
use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{Client, ClientBuilder, Locator, key::Key, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_inbox::{
    Archive, Digest, Inbox, Outcome, Secret, delivery::InferenceDigest, page::Guard,
    provider::InferenceKey, testing::Sample,
};

use super::{
    browser_temporary::{create_endpoint, post_to},
    support::*,
};

/// A browser, its driver, and a server with the page.
pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: Child,
    pub(crate) origin: String,
    _profile: TempDir,
}

impl Browser {
    /// Serves the page at `/inbox`, and opens it with user and password.
    pub(crate) async fn open(inbox: &Inbox) -> Self {
        assert!(env::var_os("INBOX_TEST_BROWSER").is_some(), "set INBOX_TEST_BROWSER");
        let guard = Guard::basic("inbox", Secret::new("password")).unwrap();
        let app = Router::new().nest_service("/inbox", inbox.page(guard));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });

        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("install the packages chromium and chromium-driver");
        let profile = tempfile::tempdir().unwrap();
        let client = connect(port, profile.path()).await;
        let origin = format!("http://{address}");
        let browser = Self { client, driver, origin, _profile: profile };
        let url = format!("http://inbox:password@{address}/inbox");
        browser.client.goto(&url).await.unwrap();
        browser
    }

    pub(crate) async fn goto(&self, query: &str) {
        self.client.goto(&format!("{}/inbox{query}", self.origin)).await.unwrap();
    }

    /// Waits until the page has this text. Ends the test after 30 s.
    pub(crate) async fn wait_for_text(&self, text: &str) {
        let xpath = format!("//main[contains(., '{text}')] | //p[contains(., '{text}')]");
        let wait = self.client.wait().at_most(Duration::from_secs(30));
        let found = wait.for_element(Locator::XPath(&xpath)).await.is_ok();
        assert!(found, "no {text:?} in {}", self.client.source().await.unwrap());
    }

    /// A command of the `DevTools` protocol of Chrome.
    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.client.issue_cmd(Chrome("goog/cdp/execute", body)).await.unwrap()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.client.issue_cmd(Chrome("se/log", json!({ "type": kind }))).await.unwrap();
        log.as_array().unwrap().clone()
    }

    /// Emulates a screen of this width.
    pub(crate) async fn set_screen(&self, width: u32, scheme: &str) {
        let metrics =
            json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Stores a picture of the whole page below `target/`.
    pub(crate) async fn take_picture(&self, name: &str) {
        let parameters = json!({ "captureBeyondViewport": true });
        let picture = self.devtools("Page.captureScreenshot", parameters).await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page");
        fs::create_dir_all(&folder).unwrap();
        let png = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }

    /// Waits until the content is at most this wide: a screen of another size may be laid out after the page was loaded.
    /// A phone shows a page that is too wide smaller, so that the width of the window says nothing.
    pub(crate) async fn wait_until_fits(&self, width: u32, page: &str) {
        let script = "return document.documentElement.scrollWidth";
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let content = self.client.execute(script, Vec::new()).await.unwrap().as_u64().unwrap();
            if content <= u64::from(width) {
                return;
            }
            assert!(Instant::now() < deadline, "{page}: {content} > {width}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn press(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Presses the tab key until the focused element has this text.
    async fn tab_to(&self, text: &str) {
        for _ in 0..60 {
            let focused = self.client.active_element().await.unwrap();
            if focused.text().await.unwrap() == text {
                return;
            }
            self.press(&char::from(Key::Tab).to_string()).await;
        }
        panic!("{text} cannot be reached by the tab key");
    }

    /// Fails if the console has errors, or if something was requested from elsewhere.
    pub(crate) async fn assert_clean(&self) {
        let console = self.log("browser").await;
        assert!(console.is_empty(), "{console:#?}");
        let mut requests = 0;
        for entry in self.log("performance").await {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if message["message"]["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let parameters = &message["message"]["params"];
            // The browser loads its own start page, chrome:// and chrome-untrusted://.
            if parameters["documentURL"].as_str().unwrap().starts_with("chrome") {
                continue;
            }
            let url = parameters["request"]["url"].as_str().unwrap();
            let url = url.replace("inbox:password@", "");
            requests += 1;
            let is_own = url.starts_with(&format!("{}/", self.origin)) || url.starts_with("data:,");
            assert!(is_own, "{url}");
        }
        assert!(requests > 0, "the log of requests is empty");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command of chromedriver.
#[derive(Debug)]
struct Chrome(&'static str, Value);

impl WebDriverCompatibleCommand for Chrome {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}

async fn connect(port: u16, profile: &Path) -> Client {
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &format!("--user-data-dir={}", profile.display()),
    ];
    let capabilities = json!({
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    });
    let capabilities = capabilities.as_object().unwrap().clone();
    let url = format!("http://127.0.0.1:{port}");
    // The driver takes a moment until it accepts connections.
    let mut last = None;
    for _ in 0..100 {
        match ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.clone())
            .connect(&url)
            .await
        {
            Ok(client) => return client,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no session: {last:?}");
}

const HOSTILE: &str = "<script>console.error('run')</script><img src=https://example.com/x onerror=console.error(1)>\u{202e}";

/// Deliveries of two models in every state, over the last hour.
async fn fill(setup: &Setup) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let model = CAPTIONS.parse().unwrap();
    for number in 0..140_u64 {
        let job = format!("job-{number}");
        let age = Duration::from_secs(20 + number * number * 17 % 3500);
        let sample = caption(&job).received_at(now.checked_sub(age).unwrap());
        let digest = InferenceDigest::of(&model, &InferenceKey::new(&job), Digest::of(b"x"));
        let outcome = match number % 23 {
            0 => Outcome::dead("the handler returned 404: no such property in the ledger"),
            1 => Outcome::failed_at(3, "the handler returned 503: the ledger database is down"),
            2 => Outcome::undecodable(
                "the body does not have the shape of the model's type, at $.text: expected an array, found a string",
            ),
            3 => Outcome::repeat(tower_inbox::DeliveryId::new()),
            _ => Outcome::processed(204),
        };
        setup.settled(sample, outcome.with_inference(Some(digest))).await;
    }
    for job in ["new-1", "new-2"] {
        setup
            .pending(
                Sample::of(LABELS)
                    .uri("/hooks/labels/acme".parse().unwrap())
                    .body(format!("{{\"job\":\"{job}\"}}")),
            )
            .await;
    }
    setup.quarantined(signed("1", "another secret")).await;
    setup.quarantined(signed("2", SECRET)).await;
}

/// A delivery with a body as providers send it, which is undecodable.
fn document() -> Sample {
    let body = json!({
        "job": { "id": "1f2e" },
        "text": "A cat on a mat",
        "pages": [
            { "number": 1, "words": [{ "text": "cat", "box": [0.113, 0.25, 0.31, 0.27], "confidence": 0.998 }] },
            { "number": 2, "words": [] },
        ],
        "file": { "name": "scan <b>0001</b>.pdf", "pages": 2, "ok": true, "alias": null },
        "hostile": HOSTILE,
    });
    caption("document").header("user-agent", b"in-house/2.1").body(body.to_string())
}

/// A delivery that is processed although its type does not contain this member.
fn with_member(job: &str, key: &str) -> Sample {
    caption(job).body(json!({ "job": job, key: 1 }).to_string())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: set INBOX_TEST_BROWSER, and run with --include-ignored"]
async fn every_page_fits_phone_and_desktop_without_errors_or_foreign_requests() {
    let setup = Setup::new();
    setup.inbox.pause(&LABELS.parse().unwrap()).await.unwrap();
    fill(&setup).await;
    let reason = "the body does not have the shape of the model's type, at $.job: expected a string, found an object";
    let shown = setup.settled(document(), Outcome::undecodable(reason)).await;
    let hostile = Sample::of(CAPTIONS)
        .header("x-a", HOSTILE.replace('\u{202e}', "").as_bytes())
        .body(HOSTILE);
    let hostile = setup.settled(hostile, Outcome::dead(HOSTILE)).await;
    let long = setup
        .pending(Sample::of(CAPTIONS).body(format!("[{}0]", "\"word\",".repeat(1 << 20))))
        .await;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep = setup.pending(Sample::of(CAPTIONS).body(deep)).await;
    let rejected = setup.quarantined(signed("3", "another secret")).await;
    setup.pending(with_member("drift-1", "added_today")).await;
    setup.pending(with_member("drift-2", HOSTILE)).await;
    // Afterwards: the workers would process the deliveries that are settled here.
    setup.start_workers();
    let browser = Browser::open(&setup.inbox).await;
    browser.wait_for_text("added_today").await;
    let delivery = |id| format!("?view=delivery&id={id}");
    for (name, query) in [
        ("overview", String::new()),
        ("day", "?view=day".to_owned()),
        ("deliveries", "?view=deliveries".to_owned()),
        ("dead-letters", "?view=deliveries&state=dead-letters".to_owned()),
        ("delivery", delivery(shown.id())),
        ("hostile", delivery(hostile.id()) + "&body=text"),
        ("hex", delivery(hostile.id()) + "&body=hex"),
        ("long", delivery(long.id())),
        ("deep", delivery(deep.id())),
        ("quarantine", "?view=quarantine".to_owned()),
        ("rejected", format!("?view=delivery&in=quarantine&id={}", rejected.id())),
        ("confirm", format!("?confirm=erase&id={}", shown.id())),
        ("confirm-retry", "?confirm=retry-all&state=dead&since=2h".to_owned()),
    ] {
        for (width, scheme) in [(1280, "light"), (390, "light"), (1280, "dark")] {
            browser.set_screen(width, scheme).await;
            browser.goto(&query).await;
            browser.wait_until_fits(width, name).await;
            browser.take_picture(&format!("{name}-{width}-{scheme}")).await;
        }
    }
    browser.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: set INBOX_TEST_BROWSER, and run with --include-ignored"]
async fn delivery_is_filtered_retried_and_erased_by_keyboard_alone() {
    let setup = Setup::new();
    let dead = setup.settled(caption("1"), Outcome::dead("404")).await;
    let browser = Browser::open(&setup.inbox).await;
    let enter = char::from(Key::Enter).to_string();
    browser.tab_to("Dead letters").await;
    browser.press(&enter).await;
    browser.wait_for_text("404").await;
    let text = dead.id().to_string();
    browser.tab_to(&format!("…{}", &text[text.len() - 12..])).await;
    browser.press(&enter).await;
    browser.tab_to("Retry").await;
    browser.press(&enter).await;
    browser.wait_for_text("1 delivery requeued.").await;
    assert_eq!(setup.kind(dead.id()).await, "pending");
    browser.tab_to("Erase…").await;
    browser.press(&enter).await;
    browser.wait_for_text("erased permanently").await;
    browser.tab_to("Erase").await;
    browser.press(&enter).await;
    browser.wait_for_text("1 delivery erased.").await;
    assert!(setup.archive.get(dead.id()).await.unwrap().is_none());
    browser.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: set INBOX_TEST_BROWSER, and run with --include-ignored"]
async fn list_is_updated_when_a_delivery_arrives_or_changes() {
    let setup = Setup::new();
    let browser = Browser::open(&setup.inbox).await;
    browser.goto("?view=deliveries").await;
    browser.wait_for_text("No deliveries.").await;
    let wait = browser.client.wait().at_most(Duration::from_secs(30));
    wait.for_element(Locator::Css("header .live:not([hidden])")).await.unwrap();
    let delivery = setup.pending(caption("1")).await;
    let row = format!("[data-id='{}'].new", delivery.id());
    let wait = browser.client.wait().at_most(Duration::from_secs(30));
    wait.for_element(Locator::Css(&row)).await.unwrap();
    setup.settled(caption("2"), Outcome::dead("a reason")).await;
    browser.wait_for_text("a reason").await;
    browser.assert_clean().await;
}

/// axe-core, the accessibility checker of Deque, if `INBOX_AXE` has the path of its `axe.min.js`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and axe-core: set INBOX_TEST_BROWSER and INBOX_AXE, and run with --include-ignored"]
async fn pages_have_no_serious_accessibility_findings() {
    let axe = env::var_os("INBOX_AXE").map(PathBuf::from).expect("set INBOX_AXE");
    let axe = fs::read_to_string(axe).unwrap();
    let setup = Setup::new();
    fill(&setup).await;
    let shown = setup.settled(document(), Outcome::undecodable("no JSON, at $.job")).await;
    setup.start_workers();
    let browser = Browser::open(&setup.inbox).await;
    post_to(&create_endpoint(&browser).await).await;
    for query in [
        "",
        "?view=day",
        "?view=temporary-endpoints",
        "?view=temporary-endpoint&endpoint=1",
        "?view=temporary-request&endpoint=1&request=1",
        "?view=deliveries",
        "?view=quarantine",
        "?confirm=retry-all&state=dead",
        &format!("?view=delivery&id={}", shown.id()),
    ] {
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light")] {
            browser.set_screen(width, scheme).await;
            browser.goto(query).await;
            browser.client.execute(&axe, Vec::new()).await.unwrap();
            let script = "const done = arguments[arguments.length - 1]; axe.run().then((found) => done(found.violations \
                          .filter((one) => ['serious', 'critical'].includes(one.impact)) \
                          .map((one) => one.id + ': ' + one.nodes.map((node) => node.html).join(' | '))));";
            let found = browser.client.execute_async(script, Vec::new()).await.unwrap();
            assert_eq!(found, json!([]), "{query} at {width}, {scheme}");
        }
    }
}
