//! The actions of the page, who may run them, and the log.

use http::Request;
use tower_inbox::{Archive, DeliveryId, Outcome, Secret, page::Guard};

use super::support::*;

/// The link in the `Location` of a response that shows the result of an action.
fn result(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").to_owned()
}

#[tokio::test]
async fn dead_delivery_is_retried_once() {
    let setup = Setup::new();
    let delivery = setup.settled(caption("1"), Outcome::dead("404")).await;
    let retry = format!("?action=retry&id={}", delivery.id());
    let link = result(&setup.post(&retry).await);
    assert_eq!(setup.kind(delivery.id()).await, "pending");
    assert!(setup.get(&link).await.text().contains("1 delivery requeued."));
    let again = setup.post(&retry).await;
    assert_eq!(again.status, 409);
    assert!(again.text().contains("this one is pending"));
    let unknown = setup.post(&format!("?action=retry&id={}", DeliveryId::new())).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn bulk_retry_asks_first_and_changes_only_what_the_filter_selects() {
    let setup = Setup::new();
    let mut dead = Vec::new();
    for job in ["1", "2", "3"] {
        dead.push(setup.settled(caption(job), Outcome::dead("404")).await.id());
    }
    let undecodable = setup.settled(caption("4"), Outcome::undecodable("at $")).await.id();
    let list = setup.get("?view=deliveries&state=dead&since=2h").await;
    let links = list.attributes("href");
    let confirm = links.iter().find(|link| link.contains("confirm=")).unwrap();
    let confirm = setup.get(confirm).await;
    assert!(confirm.text().contains("<strong>3</strong>"), "{}", confirm.text());
    assert_eq!(setup.kind(dead[0]).await, "dead", "a GET changes nothing");
    let action = confirm.attributes("action").remove(0);
    assert!(!action.contains("2h"), "an age would select others later: {action}");
    let link = result(&setup.post(&action).await);
    assert!(setup.get(&link).await.text().contains("3 deliveries requeued."));
    for id in dead {
        assert_eq!(setup.kind(id).await, "pending");
    }
    assert_eq!(setup.kind(undecodable).await, "undecodable");
}

#[tokio::test]
async fn delivery_is_erased_after_a_confirmation() {
    let setup = Setup::new();
    let delivery = setup.settled(caption("1"), Outcome::processed(204)).await;
    let id = delivery.id();
    let confirm = setup.get(&format!("?confirm=erase&id={id}")).await;
    assert!(confirm.text().contains("erased permanently"));
    assert!(setup.archive.get(id).await.unwrap().is_some(), "a GET erases nothing");
    setup.get(&format!("?action=erase&id={id}")).await;
    assert!(setup.archive.get(id).await.unwrap().is_some(), "an action is no GET");
    let link = result(&setup.post(&confirm.attributes("action")[0]).await);
    assert!(setup.archive.get(id).await.unwrap().is_none());
    assert!(setup.get(&link).await.text().contains("1 delivery erased."));
}

#[tokio::test]
async fn processed_delivery_is_replayed_through_the_handler() {
    let setup = Setup::new();
    let delivery = setup.settled(caption("again"), Outcome::processed(200)).await;
    let replay = format!("?action=replay&id={}", delivery.id());
    let without = setup.post(&replay).await;
    assert_eq!(without.status, 409);
    assert!(without.text().contains("start_workers"), "{}", without.text());
    setup.start_workers();
    let page = setup.get(&format!("?view=delivery&id={}", delivery.id())).await;
    assert!(page.attributes("href").iter().any(|link| link.contains("confirm=replay")));
    let link = result(&setup.post(&replay).await);
    assert_eq!(*setup.seen.lock().unwrap(), ["again"]);
    assert!(setup.get(&link).await.text().contains("The handler returned 204."));
}

#[tokio::test]
async fn model_is_paused_and_resumed() {
    let setup = Setup::new();
    setup.start_workers();
    let overview = setup.get("").await;
    let pause = overview.attributes("action").remove(0);
    let link = result(&setup.post(&pause).await);
    let paused = setup.get(&link).await;
    assert!(setup.inbox.is_paused(&CAPTIONS.parse().unwrap()).await.unwrap());
    let resume = paused.attributes("action").into_iter().find(|link| link.contains("resume"));
    result(&setup.post(&resume.unwrap()).await);
    assert!(!setup.inbox.is_paused(&CAPTIONS.parse().unwrap()).await.unwrap());
}

#[tokio::test]
async fn quarantined_delivery_is_released_if_its_signature_is_accepted() {
    let setup = Setup::new();
    let wrong = setup.quarantined(signed("1", "another secret")).await.id();
    let right = setup.quarantined(signed("2", SECRET)).await.id();
    let rejected = setup.post(&format!("?action=release&id={wrong}")).await;
    assert_eq!(rejected.status, 409);
    let link = result(&setup.post(&format!("?action=release&id={right}")).await);
    assert_eq!(setup.kind(right).await, "pending");
    assert!(setup.get(&link).await.text().contains("1 delivery released."));
    let link = result(&setup.post("?action=release-all").await);
    assert!(setup.get(&link).await.text().contains("0 deliveries released."));
    let link = result(&setup.post(&format!("?action=erase&in=quarantine&id={wrong}")).await);
    assert_eq!(setup.get(&link).await.ids().len(), 0);
}

#[tokio::test]
async fn change_from_another_site_is_rejected_by_sec_fetch_site_and_origin() {
    let setup = Setup::new();
    let delivery = setup.settled(caption("1"), Outcome::dead("404")).await;
    let post = async |headers: &[(&str, &str)]| {
        let mut request = Request::post(format!("/?action=retry&id={}", delivery.id()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(setup.page(), request.body(String::new()).unwrap()).await.status
    };
    let host = ("host", "inbox.example.com");
    for headers in [
        &[host, ("sec-fetch-site", "cross-site")][..],
        &[host, ("sec-fetch-site", "same-site")],
        &[host, ("origin", "https://evil.example.com")],
        &[host, ("origin", "null")],
        &[host, ("origin", "https://evil.example.com"), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(post(headers).await, 403, "{headers:?}");
        assert_eq!(setup.kind(delivery.id()).await, "dead");
    }
    assert_eq!(post(&[host, ("origin", "https://inbox.example.com")]).await, 303);
}

#[tokio::test]
async fn changes_and_failed_changes_are_logged_with_the_user() {
    let setup = Setup::new();
    let delivery = setup.settled(caption("1"), Outcome::dead("404")).await;
    let log = Log::start();
    let guard = Guard::with(|head| Some(head.headers.get("x-user")?.to_str().ok()?.to_owned()));
    let page = setup.inbox.page(guard);
    for _ in 0..2 {
        let request = Request::post(format!("/?action=retry&id={}", delivery.id()))
            .header("x-user", "alice")
            .body(String::new());
        send(page.clone(), request.unwrap()).await;
    }
    let log = log.end();
    let mut lines = log.lines().filter(|line| line.contains("changed from the page"));
    let (first, second) = (lines.next().unwrap(), lines.next().unwrap());
    for (line, level) in [(first, "INFO"), (second, "WARN")] {
        for wanted in [level, "user=\"alice\"", "action=\"retry\"", &delivery.id().to_string()] {
            assert!(line.contains(wanted), "{wanted} in {line}");
        }
    }
}

#[tokio::test]
async fn debug_of_the_page_has_no_password() {
    let setup = Setup::new();
    let page = setup.inbox.page(Guard::basic("inbox", Secret::new("hunter2")).unwrap());
    assert!(!format!("{page:?}").contains("hunter2"));
}
