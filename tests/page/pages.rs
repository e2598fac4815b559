//! What each page shows.

use std::time::{Duration, SystemTime};

use axum::Router;
use http::Request;
use http_body_util::BodyExt;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_inbox::{
    Archive, Digest, Outcome,
    archive::{Acquire, Claim, Query},
    delivery::InferenceDigest,
    provider::InferenceKey,
    testing::Sample,
};

use super::support::*;

#[tokio::test]
async fn overview_has_counts_with_links_health_and_activity() {
    let setup = Setup::new();
    setup.pending(caption("1")).await;
    setup.settled(caption("2"), Outcome::dead("404")).await;
    let page = setup.get("").await;
    let text = page.text();
    assert_eq!(page.status, 200);
    assert!(text.contains("healthy") && text.contains("1 dead, 0 undecodable"), "{text}");
    assert!(text.contains("2 deliveries in the last hour, at most 2 in a minute"), "{text}");
    let links = page.attributes("href");
    for link in links.iter().filter(|link| link.contains("model=") && link.contains("state=dead")) {
        assert_eq!(setup.get(link).await.ids().len(), usize::from(link.contains("captions")));
    }
    assert!(text.contains(LABELS), "a model without deliveries is listed");
}

#[tokio::test]
async fn overview_lists_overdue_results_escaped() {
    let setup = Setup::new();
    assert!(!setup.get("").await.text().contains("Overdue results"));
    let id = "<script>alert(1)</script>";
    let _ = setup.inbox.expect(CAPTIONS, id, Duration::ZERO).await.unwrap();
    let model = format!("expected:{CAPTIONS}").parse().unwrap();
    let claimed = setup.expected.claim(Claim::new(vec![(model, 1)], 1)).await.unwrap();
    let (_, lease) = claimed.leases[0].clone();
    let failed = Outcome::failed("the API is down");
    setup.expected.settle(lease, failed, Duration::from_secs(3600)).await.unwrap();
    let text = setup.get("").await.text();
    assert!(text.contains("Overdue results") && text.contains("the API is down"), "{text}");
    assert!(text.contains("&lt;script&gt;alert(1)") && !text.contains("<script>alert"), "{text}");
}

#[tokio::test]
async fn unhealthy_inbox_is_shown_with_its_reasons() {
    let setup = Setup::new();
    setup.inbox.shutdown(Duration::ZERO).await;
    let text = setup.get("").await.text();
    assert!(text.contains("unavailable") && text.contains("shutting down"), "{text}");
}

#[tokio::test]
async fn deliveries_are_filtered_by_model_state_time_and_inference() {
    let setup = Setup::new();
    let model = CAPTIONS.parse().unwrap();
    let inference =
        InferenceDigest::of(&model, &InferenceKey::versioned("inv 1", "2"), Digest::of(b"x"));
    let hour = Duration::from_secs(3600);
    let ago = |hours: u32| {
        let at = SystemTime::now() - hour * hours;
        at.duration_since(SystemTime::UNIX_EPOCH).unwrap()
    };
    let old = setup.pending(caption("old").received_at(ago(5))).await;
    let processed = Outcome::processed(204).with_inference(Some(inference));
    let done = setup.settled(caption("done").received_at(ago(3)), processed).await;
    let dead = setup.settled(caption("dead").received_at(ago(2)), Outcome::dead("404")).await;
    let other = setup.settled(Sample::of(LABELS).body("x"), Outcome::undecodable("no JSON")).await;
    let all = [&other, &dead, &done, &old];
    for (filter, wanted) in [
        ("", &all[..]),
        ("&model=%2Fhooks%2Fcaptions", &all[1..]),
        ("&model=/hooks/other", &[]),
        ("&state=dead", &all[1..2]),
        ("&state=dead-letters", &all[..2]),
        ("&state=unsettled", &all[3..]),
        ("&since=4h", &all[..3]),
        ("&since=4h&before=150m", &all[2..3]),
        ("&inference=inv+1", &all[2..3]),
        ("&inference=inv+1@7", &all[2..3]),
        ("&inference=inv+2", &[]),
        (&format!("&inference={}", inference.id()), &all[2..3]),
    ] {
        let page = setup.get(&format!("?view=deliveries{filter}")).await;
        let wanted: Vec<_> = wanted.iter().map(|delivery| delivery.id().to_string()).collect();
        assert_eq!((page.status, page.ids()), (200, wanted), "{filter}");
    }
    let invalid = setup.get("?view=deliveries&since=soon").await;
    assert_eq!(invalid.status, 400);
    assert!(invalid.text().contains("'since'"));
}

#[tokio::test]
async fn deliveries_are_searched_for_text_in_the_head() {
    let setup = Setup::new();
    let first =
        setup.settled(caption("1").header("x-run", b"Blue <1>"), Outcome::dead("404")).await;
    let second = setup.pending(caption("2").header("x-run", b"blue <2>")).await;
    let third = setup.pending(caption("3").header("x-run", b"green")).await;
    for (query, wanted) in [
        ("&head=x-run: BLUE", &[&second, &first][..]),
        ("&head=blue&state=dead", &[&first]),
        ("&head=green", &[&third]),
        ("&head=red", &[]),
    ] {
        let query = query.replace(' ', "+");
        let page = setup.get(&format!("?view=deliveries{query}")).await;
        let wanted: Vec<_> = wanted.iter().map(|delivery| delivery.id().to_string()).collect();
        assert_eq!((page.status, page.ids()), (200, wanted), "{query}");
    }
    let page = setup.get("?view=deliveries&head=%3C1%3E%22").await;
    let text = page.text();
    assert!(text.contains("value=\"&lt;1&gt;&quot;\""), "{text}");
    let found = setup.get("?view=deliveries&head=blue").await.text();
    assert!(found.contains("Searched the heads of 3 deliveries."), "{found}");
    assert!(!found.contains("Retry all") && !found.contains("data-live"), "{found}");
    assert!(setup.get("?view=deliveries").await.text().contains("Retry all"));
}

#[tokio::test]
async fn older_links_lead_to_every_delivery_once_while_new_ones_arrive() {
    let setup = Setup::new();
    let mut wanted = Vec::new();
    for number in 0..123 {
        wanted.push(setup.pending(caption(&number.to_string())).await.id().to_string());
    }
    wanted.reverse();
    let (mut found, mut link) = (Vec::new(), Some("?view=deliveries".to_owned()));
    while let Some(address) = link {
        let page = setup.get(&address).await;
        found.extend(page.ids());
        link = page.attributes("href").into_iter().find(|link| link.contains("after="));
        setup.pending(caption(&format!("new {}", found.len()))).await;
    }
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn delivery_page_has_head_body_proof_outcome_and_actions() {
    let setup = Setup::new();
    let reason =
        "the body does not have the shape of the model's type, at $.job: expected a string";
    let sample = caption("1").header("x-kind", b"a <b>");
    let delivery = setup.settled(sample, Outcome::undecodable(reason)).await;
    let page = setup.get(&format!("?view=delivery&id={}", delivery.id())).await;
    let text = page.text();
    for wanted in [
        &delivery.id().to_string(),
        &delivery.digest().to_string(),
        "x-kind",
        "a &lt;b&gt;",
        "hmac-sha256, secret <bdi>sample</bdi>, raw body",
        "192.0.2.7:4711",
        "undecodable",
        "at $.job: expected a string",
        "class=\"leaf fault\"",
        "curl -X 'POST' 'http://inbox.example.com:8443/hooks/captions'",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let actions = page.attributes("action");
    assert_eq!(actions, [format!("?action=retry&id={}", delivery.id())]);
    assert!(!text.contains("Replay"), "there is no handler");
}

#[tokio::test]
async fn delivery_page_has_history_of_attempts_with_reasons_escaped() {
    let setup = Setup::new();
    let delivery = setup.pending(caption("1")).await;
    let id = delivery.id();
    let page = async || setup.get(&format!("?view=delivery&id={id}")).await.text();
    assert!(!page().await.contains("History"), "nothing has changed");
    let due = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let failed = Outcome::failed_at(1, "<b>503</b>\u{202e}").due_at(due);
    for outcome in [failed, Outcome::dead("gone")] {
        let lease = setup.archive.acquire(Acquire::new(id)).await.unwrap().lease.unwrap();
        setup.archive.settle(lease, outcome, Duration::ZERO).await.unwrap();
    }
    assert_eq!(setup.archive.retry(Query::all().id(id)).await.unwrap(), 1);
    let text = page().await;
    let rows = [
        "attempt 1 started",
        "attempt 1, next attempt at 2030-03-17 17:46:40: <bdi>&lt;b&gt;503&lt;/b&gt;<span",
        "attempt 2 started",
        "<bdi>gone</bdi>",
        "waits again, with 0 attempts",
    ];
    let places: Vec<_> = rows.iter().map(|row| text.find(row)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} {text}");

    assert!(!text.contains("earlier change"), "{text}");
    for number in 0..4 {
        let lease = setup.archive.acquire(Acquire::new(id)).await.unwrap().lease.unwrap();
        let failed = Outcome::failed_at(number, format!("reason {number}"));
        setup.archive.settle(lease, failed, Duration::ZERO).await.unwrap();
    }
    let text = page().await;
    let (earlier, latest) = text.split_once("</details>").unwrap();
    assert!(earlier.contains("3 earlier changes") && earlier.contains("attempt 2 started"));
    assert!(!earlier.contains("<bdi>gone") && latest.contains("<bdi>gone"), "{text}");
    assert!(latest.contains("reason 3") && latest.matches("<time").count() >= 10, "{text}");

    setup.archive.remove(Query::all().id(id)).await.unwrap();
    let removed = page().await;
    assert!(removed.contains("were removed") && removed.contains("<bdi>gone</bdi>"), "{removed}");
}

#[tokio::test]
async fn body_is_shown_as_tree_text_and_hex_and_downloaded_exactly() {
    let setup = Setup::new();
    let delivery = setup.pending(caption("1")).await;
    let id = delivery.id();
    let of_form =
        async |form: &str| setup.get(&format!("?view=delivery&id={id}&body={form}")).await.text();
    assert!(of_form("tree").await.contains("<bdi class=\"key\">job</bdi>"));
    assert!(of_form("text").await.contains("{&quot;job&quot;: &quot;1&quot;, "));
    assert!(of_form("hex").await.contains("00000000  7b 22 6a 6f 62 22"));
    let download = setup.get(&format!("?download={id}")).await;
    assert_eq!(download.bytes, delivery.body());
    assert_eq!(download.header("content-type"), "application/octet-stream");
    let disposition = format!("attachment; filename=\"{id}.body\"");
    assert_eq!(download.header("content-disposition"), disposition);
}

#[tokio::test]
async fn delivery_that_was_removed_or_never_existed_is_explained() {
    let setup = Setup::new();
    let delivery = setup.settled(caption("1"), Outcome::processed(204)).await;
    let id = delivery.id();
    setup.archive.remove(Query::all().id(id)).await.unwrap();
    let removed = setup.get(&format!("?view=delivery&id={id}")).await;
    assert!(removed.text().contains("were removed") && removed.status == 200);
    assert_eq!(setup.get(&format!("?download={id}")).await.status, 404);
    let unknown = tower_inbox::DeliveryId::new();
    assert_eq!(setup.get(&format!("?view=delivery&id={unknown}")).await.status, 404);
    assert_eq!(setup.get("?view=other").await.status, 400);
    assert_eq!(setup.get("other?view=overview").await.status, 404);
}

#[tokio::test]
async fn quarantine_shows_what_the_doctor_finds() {
    let setup = Setup::new();
    let wrong = setup.quarantined(signed("1", "another secret")).await;
    let right = setup.quarantined(signed("2", SECRET)).await;
    let (job, signature) = (caption("3"), signed("3", SECRET).delivery());
    let signature = signature.head().headers()["x-signature"].to_str().unwrap().to_owned();
    let bare = job.header("x-signature", signature.trim_start_matches("sha256=").as_bytes());
    let bare = setup.quarantined(bare).await;
    assert_eq!(setup.get("?view=quarantine").await.ids().len(), 3);
    for (delivery, wanted) in [
        (&wrong, "No known difference makes it match"),
        (&right, "The signature is accepted now"),
        (&bare, "The doctor"),
    ] {
        let link = format!("?view=delivery&in=quarantine&id={}", delivery.id());
        let text = setup.get(&link).await.text();
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[tokio::test]
async fn other_deliveries_of_an_inference_are_listed() {
    let setup = Setup::new();
    let model = CAPTIONS.parse().unwrap();
    let digest = |version: &str| {
        let key = InferenceKey::versioned("inv_1", version);
        Some(InferenceDigest::of(&model, &key, Digest::of(version.as_bytes())))
    };
    let processed = |version: &str| Outcome::processed(204).with_inference(digest(version));
    let first = setup.settled(caption("1"), processed("1")).await;
    let second = setup.settled(caption("2"), processed("2")).await;
    let page = setup.get(&format!("?view=delivery&id={}", second.id())).await;
    assert_eq!(page.ids(), [first.id().to_string()]);
}

#[tokio::test]
async fn all_links_are_queries_so_that_the_page_works_nested_with_and_without_a_slash() {
    let setup = Setup::new();
    let delivery = setup.settled(caption("1"), Outcome::dead("404")).await;
    setup.quarantined(caption("2")).await;
    for view in ["", "?view=deliveries", "?view=quarantine", "?confirm=release-all"] {
        let page = setup.get(view).await;
        let links = ["href", "src", "action"].map(|name| page.attributes(name)).concat();
        assert!(links.len() > 5);
        let is_relative = |link: &String| link.starts_with(['?', '#']);
        assert!(links.iter().all(is_relative), "{links:?}");
    }
    let app = Router::new().nest_service("/inbox", setup.page());
    let query = format!("?view=delivery&id={}", delivery.id());
    for path in ["/inbox", "/inbox/"] {
        let request = Request::get(format!("{path}{query}")).body(axum::body::Body::empty());
        let response = app.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(&delivery.id().to_string()));
    }
}

#[tokio::test]
async fn page_works_over_a_concurrency_limit() {
    let setup = Setup::new();
    let mut page = ServiceBuilder::new().concurrency_limit(1).service(setup.page());
    for _ in 0..3 {
        let request = Request::get("/").body(String::new()).unwrap();
        let ready = ServiceExt::<Request<String>>::ready(&mut page).await.unwrap();
        let response = ready.call(request).await.unwrap();
        assert_eq!(response.status(), 200);
        drop(response);
    }
}

#[tokio::test]
async fn head_and_other_methods_are_answered_without_a_body() {
    let setup = Setup::new();
    let of = async |method: &str| {
        let request = Request::builder().method(method).uri("/").body(String::new()).unwrap();
        send(setup.page(), request).await
    };
    let head = of("HEAD").await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
    assert!(head.header("content-length").parse::<usize>().unwrap() > 1000);
    let delete = of("DELETE").await;
    assert!([403, 405].contains(&delete.status), "{}", delete.status);
}

#[tokio::test]
async fn events_are_sent_when_a_delivery_arrives_and_end_at_shutdown() {
    let setup = Setup::new();
    let request = Request::get("/?view=events").body(String::new()).unwrap();
    let response = setup.page().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut next = async || {
        let frame = tokio::time::timeout(Duration::from_secs(60), body.frame()).await.unwrap();
        frame.map(|frame| String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    };
    assert!(next().await.unwrap().contains("event: open"));
    setup.pending(caption("1")).await;
    assert!(next().await.unwrap().contains("event: change"));
    setup.inbox.shutdown(Duration::ZERO).await;
    assert_eq!(next().await, None, "a stream must not delay the shutdown of the server");
}
