//! A quarantine that several nodes share.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_inbox::{
    Archive, Inbox, MemoryArchive, Model, Secret,
    archive::{Append, Capacity, PostgresArchive, Query},
    layer::{InboxBody, Quarantine},
    provider::InferenceKey,
    signature::{HmacBody, sign_request},
    testing::Sample,
};

use super::support::server;

const MODEL: &str = "/hooks/quarantine";

fn scheme(secret: &str) -> HmacBody {
    HmacBody::sha256("X-Signature", Secret::new(secret))
}

fn node(archive: &PostgresArchive, secret: &str, deliveries: usize, bytes: usize) -> Inbox {
    let quarantine = Quarantine::new(archive.clone()).max_deliveries(deliveries).max_bytes(bytes);
    let key = |_: &serde_json::Value| InferenceKey::new("one");
    let model = Model::json::<serde_json::Value>("in-house", key).verified_by(scheme(secret));
    let inbox = Inbox::builder(MemoryArchive::new()).model(MODEL, model);
    inbox.quarantine(quarantine).build().unwrap()
}

/// Posts a delivery with a signature of another secret.
async fn post(node: &Inbox, body: String) {
    let request = Request::post(MODEL).body(Bytes::from(body)).unwrap();
    let request = sign_request(&scheme("right"), "1", std::time::SystemTime::now(), request);
    let handler = service_fn(async |_: Request<InboxBody<Full<Bytes>>>| {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = node.layer().layer(handler);
    let response = service.oneshot(request.unwrap().map(Full::new)).await.unwrap();
    assert_eq!(response.status(), 401);
}

/// The number of deliveries, the bytes of their bodies, and the first bytes of the bodies, oldest first.
async fn stored(archive: &PostgresArchive) -> (usize, usize, Vec<String>) {
    let (mut found, mut bodies) = (archive.scan(Query::all()), Vec::new());
    while let Some(archived) = found.next().await {
        bodies.push(String::from_utf8(archived.unwrap().delivery.body().to_vec()).unwrap());
    }
    bodies.sort();
    (bodies.len(), bodies.iter().map(String::len).sum(), bodies)
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn capacity_of_a_quarantine_holds_for_all_nodes_and_the_oldest_are_removed() {
    let server = server();
    let schema = server.schema();
    let (archive, client) = (schema.open().await, schema.client().await);
    let nodes = [(); 3].map(|()| node(&archive, "wrong", 16, 1 << 20));
    for number in 0..48 {
        post(&nodes[number % 3], format!("{number:04}")).await;
        nodes[number % 3].settled().await;
        assert!(stored(&archive).await.0 <= 16);
    }
    let (_, _, bodies) = stored(&archive).await;
    assert!(bodies.len() >= 14, "{bodies:?}");
    let first = 48 - bodies.len();
    assert!(bodies.iter().enumerate().all(|(at, body)| *body == format!("{:04}", first + at)));
    for table in ["work", "ledger", "bodies"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(rows, i64::try_from(bodies.len()).unwrap(), "{table}");
    }
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn capacity_in_bytes_holds_for_nodes_that_store_at_the_same_time() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let nodes = [(); 3].map(|()| node(&archive, "wrong", 1000, 5000));
    for round in 0..4 {
        for number in 0..12 {
            post(&nodes[number % 3], format!("{round}{number:03}{}", "x".repeat(396))).await;
        }
        for node in &nodes {
            node.settled().await;
        }
        let (deliveries, bytes, _) = stored(&archive).await;
        assert!(bytes <= 5000 && deliveries >= 10, "{deliveries} with {bytes} bytes");
    }
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn delivery_is_released_by_another_node_and_no_longer_counts() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let wrong = node(&archive, "wrong", 4, 1 << 20);
    for number in 0..4 {
        post(&wrong, format!("{number:04}")).await;
        wrong.settled().await;
    }
    let right = node(&archive, "right", 4, 1 << 20);
    let released = right.release(Query::all()).await.unwrap();
    assert_eq!(released.iter().filter(|released| released.result.is_ok()).count(), 4);
    assert_eq!(stored(&archive).await.0, 0);
    for number in 4..8 {
        post(&wrong, format!("{number:04}")).await;
        wrong.settled().await;
    }
    assert_eq!(stored(&archive).await.0, 4);
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn trim_keeps_leased_and_settled_deliveries_and_the_newest() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let mut ids = Vec::new();
    for second in 0..4 {
        let sample = Sample::of(MODEL).body(format!("body {second}"));
        let delivery = sample.received_at(Duration::from_secs(1_700_000_000 + second)).delivery();
        ids.push(delivery.id());
        let append = Append::new(delivery);
        let length = Duration::from_secs(60);
        let append = if second == 0 { append.leased_for(length) } else { append };
        let _ = archive.append(append).await.unwrap();
    }
    let none = Capacity { deliveries: 0, bytes: 0 };
    assert_eq!(archive.trim(Capacity::UNLIMITED, none).await.unwrap(), Some(0));
    assert_eq!(archive.trim(none, none).await.unwrap(), Some(2));
    let left = [0, 3].map(|place: usize| ids[place]);
    for id in &ids {
        let is_left = archive.state(*id).await.unwrap().is_some();
        assert_eq!(is_left, left.contains(id), "{id}");
    }
    // The same bytes are a new delivery.
    let again = Sample::of(MODEL).body("body 1").delivery();
    assert!(!archive.append(Append::new(again)).await.unwrap().receipt.is_repeat());
    schema.drop().await;
}
