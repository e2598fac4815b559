//! The quarantine: the rejected deliveries that it stores, its limits, and their release.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request};
use http_body_util::Full;
use tower::Layer;
use tower_inbox::{
    Archive, DiskArchive, Inbox, MemoryArchive, NotReleased, Released, Secret, Workers,
    archive::{Append, Appended, Query, Work},
    delivery::Redaction,
    layer::Quarantine,
    provider::ModelBuilder,
    signature::{HmacBody, SecretSet},
};

use crate::support::{
    archive_wrapper::{Overridden, Overrides},
    *,
};

/// An archive whose appends never complete.
#[derive(Debug, Default)]
struct StuckAppends(MemoryArchive);

impl StuckAppends {
    fn archive() -> Overridden<Self> {
        Overridden(Self::default())
    }
}

impl Overrides for StuckAppends {
    fn inner(&self) -> &dyn Archive {
        &self.0
    }

    fn append(&self, _: Append) -> Work<Appended> {
        Box::pin(std::future::pending())
    }
}

fn with_secret(
    secrets: impl Into<SecretSet>,
    archive: &MemoryArchive,
    quarantine: &Quarantine,
) -> Inbox {
    let model = ModelBuilder::<Caption>::new().signed_with(secrets);
    Inbox::builder(archive.clone())
        .model(CAPTIONS, model)
        .quarantine(quarantine.clone())
        .background(Workers::new(1))
        .build()
        .unwrap()
}

/// An inbox with a mistyped secret.
fn wrong(quarantine: &Quarantine) -> Inbox {
    with_secret(Secret::new("mistyped"), &memory(), quarantine)
}

async fn status(inbox: &Inbox, request: Request<Full<Bytes>>) -> u16 {
    let seen = Seen::default();
    send(inbox.layer().layer(handler(&seen)), request).await.status.as_u16()
}

/// Sends captions that are rejected, one after the other, and waits until they are quarantined.
async fn refused(inbox: &Inbox, jobs: impl IntoIterator<Item = usize>) {
    for job in jobs {
        assert_eq!(status(inbox, signed(caption(&job.to_string()))).await, 401);
        inbox.settled().await;
    }
}

async fn kept(quarantine: &Quarantine) -> Vec<Bytes> {
    let archived = archived(quarantine.archive()).await;
    archived.into_iter().map(|one| one.delivery.body().clone()).collect()
}

#[tokio::test]
async fn quarantined_delivery_is_released_and_processed_after_the_secret_is_corrected() {
    let (archive, quarantine) = (memory(), Quarantine::new(memory()));
    let wrong = with_secret(Secret::new("mistyped"), &archive, &quarantine);
    refused(&wrong, [1, 1, 2]).await;
    assert_eq!(kept(&quarantine).await, [caption("1"), caption("2")]);
    assert!(archived(&archive).await.is_empty(), "the archive is not for strangers");

    let still = wrong.release(Query::all()).await.unwrap();
    assert_eq!(still.len(), 2);
    let Err(error @ NotReleased::Signature { .. }) = &still[0].result else {
        panic!("{still:?}");
    };
    assert!(error.to_string().contains("no known difference"), "{error}");
    assert_eq!(kept(&quarantine).await.len(), 2);

    let (mended, seen) = (with_secret(Secret::new(SECRET), &archive, &quarantine), Seen::default());
    mended.start_workers(handler::<Full<Bytes>>(&seen)).unwrap();
    let released = mended.release(Query::all()).await.unwrap();
    assert!(released.iter().all(|one| one.result.is_ok()), "{released:?}");
    mended.wait_idle().await;
    assert_eq!(seen.all(), ["1", "2"]);
    assert!(kept(&quarantine).await.is_empty());
    let found = archived(&archive).await;
    assert_eq!(found[0].delivery.id(), released[0].id, "its id stays");
    assert_eq!(found[0].delivery.proof().scheme(), "hmac-sha256");
    assert!(mended.release(Query::all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn quarantine_on_disk_is_released_by_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let quarantine = Quarantine::new(DiskArchive::open(directory.path()).await.unwrap());
    refused(&wrong(&quarantine), 0..20).await;
    drop(quarantine);

    let archive = memory();
    let quarantine = Quarantine::new(DiskArchive::open(directory.path()).await.unwrap());
    let mended = with_secret(Secret::new(SECRET), &archive, &quarantine);
    let released = mended.release(Query::all()).await.unwrap();
    assert_eq!(released.iter().filter(|one| one.result.is_ok()).count(), 20, "{released:?}");
    assert!(kept(&quarantine).await.is_empty());
    assert_eq!(archived(&archive).await.len(), 20);
}

#[tokio::test]
async fn delivery_that_stays_in_the_quarantine_has_findings_of_the_doctor() {
    let quarantine = Quarantine::new(memory());
    // Resolved secrets are not checked when the inbox is built.
    let padded = SecretSet::resolved_by(|_| vec![Secret::new(format!(" {SECRET}\n"))]);
    let mistyped = with_secret(padded, &memory(), &quarantine);
    refused(&mistyped, [1]).await;
    let stays = mistyped.release(Query::all()).await.unwrap();
    let Err(error) = &stays[0].result else { panic!("{stays:?}") };
    let told = "secret main would match without the white space around it";
    assert!(error.to_string().ends_with(told), "{error}");
    assert!(!format!("{stays:?}").contains(SECRET), "{stays:?}");
    let renamed = Inbox::builder(memory()).quarantine(quarantine).build().unwrap();
    let stays = renamed.release(Query::all()).await.unwrap();
    assert!(matches!(stays[..], [Released { result: Err(NotReleased::NoModel), .. }]));
}

/// Requests that are rejected by their head alone: without a signature, with a malformed one, and with one in another
/// header.
fn refused_by_their_heads() -> [Request<Full<Bytes>>; 3] {
    let with = |header: &'static str, value: &str, job: &str| {
        let request = Request::post(CAPTIONS).header(header, value);
        request.body(Full::from(caption(job))).unwrap()
    };
    [
        Request::post(CAPTIONS).body(Full::from(caption("1"))).unwrap(),
        with("x-acme-signature", "none", "2"),
        with("x-signature", &sign(caption("3").as_bytes()), "3"),
    ]
}

#[tokio::test]
async fn request_rejected_by_its_head_is_quarantined_only_with_reading_all() {
    for (asked, expected) in [(false, 0), (true, 3)] {
        let quarantine = Quarantine::new(memory());
        let quarantine = if asked { quarantine.reading_all() } else { quarantine };
        let inbox = with_secret(Secret::new(SECRET), &memory(), &quarantine);
        for request in refused_by_their_heads() {
            assert_eq!(status(&inbox, request).await, 401);
            inbox.settled().await;
        }
        assert_eq!(kept(&quarantine).await.len(), expected);
    }
}

#[tokio::test]
async fn reading_all_respects_the_capacity() {
    let quarantine = Quarantine::new(memory()).reading_all().max_deliveries(2);
    let inbox = with_secret(Secret::new(SECRET), &memory(), &quarantine);
    for request in refused_by_their_heads() {
        status(&inbox, request).await;
        inbox.settled().await;
    }
    assert!(kept(&quarantine).await.len() <= 2);
    let limited = ModelBuilder::<Caption>::new().signed_with(Secret::new(SECRET)).body_limit(8);
    let inbox = Inbox::builder(memory()).model(CAPTIONS, limited).quarantine(quarantine).build();
    let [unsigned, ..] = refused_by_their_heads();
    assert_eq!(status(&inbox.unwrap(), unsigned).await, 413, "the model's limit holds");
}

#[tokio::test]
async fn delivery_with_misnamed_signature_header_is_quarantined_and_released() {
    let (archive, quarantine) = (memory(), Quarantine::new(memory()).reading_all());
    let mistaken = with_secret(Secret::new(SECRET), &archive, &quarantine);
    for request in refused_by_their_heads() {
        status(&mistaken, request).await;
        mistaken.settled().await;
    }
    let told = mistaken.release(Query::all()).await.unwrap();
    let Err(error) = &told[2].result else { panic!("{told:?}") };
    assert!(error.to_string().contains("if read from header x-signature"), "{error}");
    let scheme = HmacBody::new(HeaderName::from_static("x-signature"), Secret::new(SECRET));
    let mended = Inbox::builder(archive.clone())
        .model(CAPTIONS, ModelBuilder::<Caption>::new().verified_by(scheme))
        .quarantine(quarantine.clone())
        .build()
        .unwrap();
    let released = mended.release(Query::all()).await.unwrap();
    assert_eq!(released.iter().filter(|one| one.result.is_ok()).count(), 1, "{released:?}");
    assert_eq!(archived(&archive).await[0].delivery.body(), &caption("3"));
}

#[tokio::test]
async fn token_in_an_unexpected_place_is_released_and_not_archived() {
    let (archive, quarantine) = (memory(), Quarantine::new(memory()).reading_all());
    let with_token_in = |parameter: &str| {
        let model =
            ModelBuilder::<Caption>::new().token_in_query(parameter, Secret::new("hunter2"));
        let inbox = Inbox::builder(archive.clone()).model(CAPTIONS, model);
        inbox.quarantine(quarantine.clone()).build().unwrap()
    };
    let mistaken = with_token_in("expected");
    let request = Request::post(format!("{CAPTIONS}?ticket=hunter2"));
    assert_eq!(status(&mistaken, request.body(Full::from(caption("1"))).unwrap()).await, 401);
    mistaken.settled().await;
    let told = mistaken.release(Query::all()).await.unwrap();
    let Err(error) = &told[0].result else { panic!("{told:?}") };
    assert!(error.to_string().contains("if read from parameter ticket of the query"), "{error}");
    let released = with_token_in("ticket").release(Query::all()).await.unwrap();
    assert!(released[0].result.is_ok(), "{released:?}");
    let archived = archived(&archive).await;
    assert_eq!(archived[0].delivery.head().uri().query(), Some("ticket=REDACTED"));
}

#[tokio::test]
async fn release_names_the_other_model_that_accepts_a_delivery() {
    let quarantine = Quarantine::new(memory());
    let model = |secret: &str| ModelBuilder::<Caption>::new().signed_with(Secret::new(secret));
    let swapped = Inbox::builder(memory())
        .model(CAPTIONS, model("of another model"))
        .model("/hooks/other", model(SECRET))
        .model("/hooks/third", model("of a third"))
        .model("/hooks/open", ModelBuilder::<Caption>::new().unsigned())
        .quarantine(quarantine)
        .build()
        .unwrap();
    refused(&swapped, [1]).await;
    let stays = swapped.release(Query::all()).await.unwrap();
    let Err(error @ NotReleased::Signature { others, .. }) = &stays[0].result else {
        panic!("{stays:?}");
    };
    assert_eq!(others, &["/hooks/other".parse().unwrap()]);
    assert!(error.to_string().ends_with("the model at /hooks/other accepts it"), "{error}");
}

#[tokio::test]
async fn full_quarantine_removes_the_oldest_deliveries_also_after_a_restart() {
    let store = memory();
    let quarantine = Quarantine::new(store.clone()).max_deliveries(8);
    refused(&wrong(&quarantine), 0..8).await;
    assert_eq!(kept(&quarantine).await.len(), 8);
    refused(&wrong(&quarantine), [8]).await;
    let bodies = kept(&quarantine).await;
    assert_eq!((bodies.len(), &bodies[0]), (7, &caption("2").into()));
    // Another process rebuilds the index from the archive.
    let again = Quarantine::new(store.clone()).max_deliveries(8);
    refused(&wrong(&again), [9]).await;
    assert_eq!(kept(&again).await.len(), 8);
    refused(&wrong(&again), [10]).await;
    assert_eq!(kept(&again).await.len(), 7);
}

#[tokio::test]
async fn body_of_nearly_the_whole_capacity_replaces_the_one_before() {
    let most = caption("0").len();
    let quarantine = Quarantine::new(memory()).max_bytes(most);
    for job in 0..4 {
        refused(&wrong(&quarantine), [job]).await;
        assert_eq!(kept(&quarantine).await, [caption(&job.to_string())]);
    }
}

#[tokio::test]
async fn released_deliveries_free_capacity() {
    let quarantine = Quarantine::new(memory()).max_deliveries(8);
    refused(&wrong(&quarantine), 0..6).await;
    let mended = with_secret(Secret::new(SECRET), &memory(), &quarantine);
    let third = archived(quarantine.archive()).await[2].delivery.received_at();
    assert_eq!(mended.release(Query::all().since(third)).await.unwrap().len(), 4);
    refused(&wrong(&quarantine), 6..12).await;
    assert_eq!(kept(&quarantine).await.len(), 8, "the two oldest are still here");
}

#[tokio::test]
async fn flood_over_the_rate_limit_is_discarded_and_logged_at_powers_of_two() {
    let log = Log::default();
    let _logging = log.here();
    let quarantine = Quarantine::new(memory()).max_deliveries(8);
    refused(&wrong(&quarantine), 0..32).await;
    assert_eq!(quarantine.discarded(), 16, "twice as many as it holds were taken");
    let told = log.text().matches("not kept in the quarantine").count();
    assert_eq!(told, 5, "the 1st, 2nd, 4th, 8th and 16th");
}

#[tokio::test]
async fn request_rejected_by_its_head_or_over_the_capacity_is_not_quarantined() {
    let quarantine = Quarantine::new(memory()).max_bytes(20);
    let inbox = wrong(&quarantine);
    let unsigned = Request::post(CAPTIONS).body(Full::from("{}")).unwrap();
    for request in [unsigned, signed(caption("1")), signed("short")] {
        assert_eq!(status(&inbox, request).await, 401);
        inbox.settled().await;
    }
    assert_eq!(kept(&quarantine).await, ["short"]);
}

#[tokio::test]
async fn wrong_token_is_not_quarantined_and_token_beside_a_signature_is_redacted() {
    let quarantine = Quarantine::new(memory());
    let model = ModelBuilder::<Caption>::new().token_in_query("ticket", Secret::new("hunter2"));
    let inbox = Inbox::builder(memory())
        .model("/hooks/tokens", model)
        .model(CAPTIONS, captions().redact(Redaction::default().query("pin")))
        .quarantine(quarantine.clone())
        .build()
        .unwrap();
    for path in ["/hooks/tokens?ticket=other", "/hooks/captions?pin=hunter2"] {
        let forged = signed_to(path, caption("1")).map(|_| Full::from("forged"));
        assert_eq!(status(&inbox, forged).await, 401);
        inbox.settled().await;
    }
    let found = archived(quarantine.archive()).await;
    assert_eq!(found.len(), 1);
    let head = found[0].delivery.head();
    assert_eq!(head.uri(), "/hooks/captions?pin=REDACTED");
    assert!(head.headers().contains_key(SIGNATURE));
}

#[tokio::test]
async fn delivery_released_before_a_crash_is_a_repeat_when_released_again() {
    let (archive, quarantine) = (memory(), Quarantine::new(memory()));
    refused(&wrong(&quarantine), [1]).await;
    let delivery = archived(quarantine.archive()).await.remove(0).delivery;
    assert!(!archive.append(Append::new(delivery)).await.unwrap().receipt.is_repeat());
    let mended = with_secret(Secret::new(SECRET), &archive, &quarantine);
    assert!(mended.release(Query::all()).await.unwrap()[0].result.is_ok());
    assert!(kept(&quarantine).await.is_empty());
    assert_eq!(archived(&archive).await.len(), 1);
}

/// A slow quarantine disk does not delay senders.
#[tokio::test]
async fn sender_is_answered_before_its_delivery_is_quarantined() {
    let quarantine = Quarantine::new(StuckAppends::archive());
    let inbox = wrong(&quarantine);
    for job in 0..70 {
        let sent = status(&inbox, signed(caption(&job.to_string())));
        assert_eq!(tokio::time::timeout(Duration::from_secs(10), sent).await.unwrap(), 401);
    }
    assert_eq!(quarantine.discarded(), 6, "64 are on their way");
}
