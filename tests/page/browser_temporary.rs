//! Temporary endpoints in Chromium.

use std::time::Duration;

use fantoccini::Locator;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{browser::Browser, support::*};

const BODY: &str = r#"{"inference": {"id": "i", "job": {"id": "j"}, "model": {"id": "m"},
    "file": {"name": "a.pdf", "alias": null, "page_count": 1, "mime_type": "application/pdf"},
    "result": {"fields": {"total_amount": {"value": 12.5}}}}}"#;

/// Posts to the URL as a sender does, without a password.
pub(crate) async fn post_to(url: &str) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let length = BODY.len();
    let request = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{BODY}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
}

async fn click(browser: &Browser, text: &str) {
    let xpath = format!("//a[text()='{text}'] | //button[text()='{text}']");
    let wait = browser.client.wait().at_most(Duration::from_secs(30));
    wait.for_element(Locator::XPath(&xpath)).await.unwrap().click().await.unwrap();
}

/// Creates an endpoint by click, and returns its URL.
pub(crate) async fn create_endpoint(browser: &Browser) -> String {
    // Chromium opens no event stream for a page whose address has the password.
    browser.goto("").await;
    click(browser, "Temporary endpoints").await;
    click(browser, "Create endpoint").await;
    browser.wait_for_text("Temporary endpoint 1 created.").await;
    let url = browser.client.find(Locator::Id("url")).await.unwrap().text().await.unwrap();
    assert!(url.starts_with(&format!("{}/inbox/temporary/", browser.origin)), "{url}");
    url
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: set INBOX_TEST_BROWSER, and run with --include-ignored"]
async fn endpoint_is_created_by_click_its_url_receives_and_the_signature_is_checked() {
    let setup = Setup::new();
    let browser = Browser::open(&setup.inbox).await;
    let url = create_endpoint(&browser).await;
    let copy = browser.client.find(Locator::Css("[data-copy=url]")).await.unwrap();
    assert!(copy.is_displayed().await.unwrap());
    let wait = browser.client.wait().at_most(Duration::from_secs(30));
    wait.for_element(Locator::Css("header .live:not([hidden])")).await.unwrap();
    post_to(&url).await;
    // The page is updated without a reload, and keeps the URL.
    let wait = browser.client.wait().at_most(Duration::from_secs(30));
    wait.for_element(Locator::Css("tr[data-id='request-1'].new")).await.unwrap();
    let after = browser.client.find(Locator::Id("url")).await.unwrap().text().await.unwrap();
    assert_eq!(after, url);
    let mut pages = vec!["?view=temporary-endpoints", "?view=temporary-endpoint&endpoint=1"];
    pages.push("?view=temporary-request&endpoint=1&request=1");
    for (number, query) in pages.into_iter().enumerate() {
        for (width, scheme) in [(1280, "light"), (390, "light"), (1280, "dark")] {
            browser.set_screen(width, scheme).await;
            browser.goto(query).await;
            browser.wait_until_fits(width, query).await;
            browser.take_picture(&format!("temporary-{number}-{width}-{scheme}")).await;
        }
    }
    browser.wait_for_text("pub struct Extracted").await;
    let secret = browser.client.find(Locator::Css("[name=secret]")).await.unwrap();
    secret.send_keys("correct horse").await.unwrap();
    click(&browser, "Check").await;
    browser.wait_for_text("The signature is rejected").await;
    let address = browser.client.current_url().await.unwrap();
    assert!(!address.as_str().contains("horse"), "{address}");
    assert!(!browser.client.source().await.unwrap().contains("horse"));
    browser.take_picture("temporary-checked").await;
    click(&browser, "All requests").await;
    click(&browser, "Delete endpoint").await;
    browser.wait_for_text("Temporary endpoint 1 deleted.").await;
    browser.assert_clean().await;
}
