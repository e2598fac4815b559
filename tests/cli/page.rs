//! `inbox page`: the web page of an archive that a server has open, and of one at rest.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tower_inbox::{Archive, DiskArchive, Outcome, delivery::StateKind, testing::Sample};

use super::{append, builder, errors, inbox, settled};

struct Page {
    child: Child,
    address: String,
    password: String,
}

impl Page {
    /// Serves the page of an archive on a free port, with a random password.
    fn start(archive: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
        command.arg("page").arg("--archive").arg(archive).env_remove("INBOX_PAGE_PASSWORD");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let address = line().strip_prefix("listening on http://").unwrap().to_owned();
        let password = line().strip_prefix("user inbox, password ").unwrap().to_owned();
        Self { child, address, password }
    }

    fn send(&self, method: &str, query: &str, password: &str) -> String {
        let credentials = STANDARD.encode(format!("inbox:{password}"));
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} /{query} HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {credentials}\r\n\
             sec-fetch-site: same-origin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    /// Posts to a path without a password.
    fn post_to_path(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: tunnel.example.com\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    fn get(&self, query: &str) -> String {
        self.send("GET", query, &self.password)
    }

    fn post(&self, query: &str) -> String {
        self.send("POST", query, &self.password)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn page_of_an_archive_at_rest_retries_and_erases() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let dead = settled(&archive, "/m", "<b>", Outcome::dead("404")).await;
    archive.close().await;
    drop(archive);
    let page = Page::start(dir.path());
    assert!(page.send("GET", "", "wrong").starts_with("HTTP/1.1 401"));
    let link = format!("?view=delivery&id={}", dead.id());
    let text = page.get(&link);
    assert!(text.contains("&lt;b&gt;") && !text.contains("Replay"), "{text}");
    let retried = page.post(&format!("?action=retry&id={}", dead.id()));
    assert!(retried.starts_with("HTTP/1.1 303"), "{retried}");
    assert!(page.get(&link).contains("pending"));
    let erased = page.post(&format!("?action=erase&id={}", dead.id()));
    assert!(erased.starts_with("HTTP/1.1 303"), "{erased}");
    assert!(page.get(&link).contains("were removed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn page_beside_a_writer_shows_new_deliveries_and_sends_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    let dead = settled(&archive, "/m", "1", Outcome::dead("404")).await;
    let page = Page::start(dir.path());
    let new = Sample::of("/m").body("2").delivery();
    append(&archive, &new).await;
    let is_listed = || page.get("?view=deliveries").contains(&new.id().to_string());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !is_listed() {
        assert!(std::time::Instant::now() < until, "the page does not show the new delivery");
    }
    let retry = format!("?action=retry&id={}", dead.id());
    let retried = tokio::task::spawn_blocking(move || page.post(&retry)).await.unwrap();
    assert!(retried.starts_with("HTTP/1.1 303"), "{retried}");
    let state = archive.state(dead.id()).await.unwrap().unwrap();
    assert_eq!(state.kind(), StateKind::Pending);
}

#[test]
fn page_is_served_on_loopback_addresses_only() {
    let dir = tempfile::tempdir().unwrap();
    let refused = inbox(dir.path(), &["page", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(errors(&refused).contains("on this machine only"), "{}", errors(&refused));
}

#[tokio::test]
async fn temporary_endpoint_receives_what_a_tunnel_brings_to_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    archive.close().await;
    drop(archive);
    let page = Page::start(dir.path());
    let created = page.post("?action=create-endpoint");
    assert!(created.starts_with("HTTP/1.1 303"), "{created}");
    let text = page.get("?view=temporary-endpoint&endpoint=1");
    let path = text.split("data-path=\"").nth(1).unwrap().split('"').next().unwrap();
    let posted = page.post_to_path(path, "{\"from\": \"a tunnel\"}");
    assert!(posted.starts_with("HTTP/1.1 200"), "{posted}");
    assert!(page.get("?view=temporary-request&endpoint=1&request=1").contains("a tunnel"));
    assert!(page.post_to_path("/temporary/other", "x").starts_with("HTTP/1.1 404"));
    assert!(page.post_to_path("/", "x").starts_with("HTTP/1.1 401"));
}
