//! A result of the simulated Mindee whose webhook is lost is fetched from its API.

use std::time::Duration;

use tower_inbox::{
    Expectations, Expected, Inbox, MemoryArchive, Secret, Workers,
    archive::Query,
    delivery::Provenance,
    provider::mindee,
    simulate::{Mindee, Target, Webhook},
};

use crate::support::{Client, Effects, PATH, SECRET, handlers};

#[tokio::test]
async fn lost_webhook_is_recovered_by_polling_and_handled_once() {
    let effects = Effects::default();
    let nowhere = Target::url("http://127.0.0.1:9/").unwrap();
    let lost = Webhook::new("w1", nowhere, Secret::new(SECRET)).lost();
    let client = Client(Mindee::builder().webhook(lost).build());
    let recovery = mindee::Recovery::new(client.0.clone(), Secret::new("md_correct_horse"));
    let expectations = Expectations::new(MemoryArchive::new())
        .recover(PATH.parse().unwrap(), recovery.api("http://localhost"));
    let model = mindee::extraction::<mindee::Fields>().signed_with(Secret::new(SECRET));
    let inbox = Inbox::builder(MemoryArchive::new())
        .model(PATH, model)
        .workers(Workers::new(1))
        .expectations(expectations)
        .build()
        .unwrap();
    inbox.start_workers::<axum::body::Body>(handlers(&effects)).unwrap();

    let job = client.finished("m1", "w1").await;
    let id = job["id"].as_str().unwrap();
    let expected = inbox.expect(PATH, id, Duration::ZERO).await.unwrap();
    assert_eq!(expected, Expected::Waiting);
    let handled = async {
        while effects.all().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let handled = tokio::time::timeout(Duration::from_secs(30), handled).await;
    handled.unwrap_or_else(|_| panic!("not fetched"));
    let fetched = inbox.archive().scan(Query::all()).next().await.unwrap().unwrap();
    assert_eq!(fetched.delivery.provenance(), Provenance::Poll);
    inbox.settled().await;
    assert_eq!(inbox.expect(PATH, id, Duration::ZERO).await.unwrap(), Expected::Arrived);
    assert_eq!(effects.all(), [1]);
}
