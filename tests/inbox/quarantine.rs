//! What nobody proves can be kept apart, and proved later.

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use tower::Layer;
use tower_inbox::{
    Inbox, MemoryArchive, NotReleased, Secret, Workers, archive::Query, layer::Quarantine,
    provider::ModelDraft,
};

use crate::support::*;

fn with_secret(secret: &str, archive: &MemoryArchive, quarantine: &Quarantine) -> Inbox {
    let model = ModelDraft::<Caption>::new().signed_with(Secret::new(secret));
    Inbox::builder(archive.clone())
        .model(CAPTIONS, model)
        .quarantine(quarantine.clone())
        .background(Workers::new(1))
        .build()
        .unwrap()
}

/// Nobody waits for what is kept in a quarantine.
async fn kept(quarantine: &Quarantine, deliveries: usize) {
    for _ in 0..1000 {
        if archived(quarantine.archive()).await.len() == deliveries {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} are kept", archived(quarantine.archive()).await.len());
}

#[tokio::test]
async fn what_was_refused_is_verified_again_once_the_secret_is_mended_and_handled() {
    let (archive, quarantine) = (memory(), Quarantine::new(memory()));
    let (seen, wrong) = (Seen::default(), with_secret("mistyped", &archive, &quarantine));
    let service = wrong.layer().layer(handler(&seen));
    for request in [signed(caption("1")), signed(caption("1")), signed(caption("2"))] {
        assert_eq!(send(service.clone(), request).await.status, 401);
    }
    kept(&quarantine, 2).await;
    assert!(archived(&archive).await.is_empty(), "the archive is not for strangers");

    let still = wrong.release(Query::all()).await.unwrap();
    assert_eq!(still.len(), 2);
    let Err(error @ NotReleased::Signature { .. }) = &still[0].result else {
        panic!("{still:?}");
    };
    assert!(error.to_string().contains("nothing that is known"), "{error}");
    kept(&quarantine, 2).await;

    let mended = with_secret(SECRET, &archive, &quarantine);
    mended.work(handler::<Full<bytes::Bytes>>(&seen));
    let released = mended.release(Query::all()).await.unwrap();
    assert!(released.iter().all(|one| one.result.is_ok()), "{released:?}");
    mended.drained().await;
    assert_eq!(seen.all(), ["1", "2"]);
    kept(&quarantine, 0).await;
    let found = archived(&archive).await;
    assert_eq!(found[0].delivery.id(), released[0].id, "its id stays");
    assert_eq!(found[0].delivery.proof().scheme(), "hmac-sha256");
    assert!(mended.release(Query::all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_quarantine_is_capped_and_the_oldest_go_first_also_after_a_start() {
    let store = memory();
    let quarantine = Quarantine::new(store.clone()).most(8);
    let inbox = with_secret("mistyped", &memory(), &quarantine);
    let service = inbox.layer().layer(handler(&Seen::default()));
    for number in 0..8 {
        send(service.clone(), signed(caption(&number.to_string()))).await;
        kept(&quarantine, number + 1).await;
    }
    send(service, signed(caption("8"))).await;
    kept(&quarantine, 7).await;
    let bodies: Vec<_> =
        archived(&store).await.iter().map(|one| one.delivery.body().clone()).collect();
    assert_eq!(bodies[0], caption("2"));
    // Another process counts what is there.
    let again = Quarantine::new(store.clone()).most(8);
    let inbox = with_secret("mistyped", &memory(), &again);
    let service = inbox.layer().layer(handler(&Seen::default()));
    send(service.clone(), signed(caption("9"))).await;
    kept(&again, 8).await;
    send(service, signed(caption("10"))).await;
    kept(&again, 7).await;
}

#[tokio::test]
async fn what_is_refused_by_its_head_or_is_longer_than_the_cap_is_not_kept() {
    let quarantine = Quarantine::new(memory()).most_bytes(20);
    let inbox = with_secret("mistyped", &memory(), &quarantine);
    let service = inbox.layer().layer(handler(&Seen::default()));
    let unsigned = Request::post(CAPTIONS).body(Full::from("{}")).unwrap();
    for request in [unsigned, signed(caption("1"))] {
        assert_eq!(send(service.clone(), request).await.status, 401);
    }
    send(service, signed("short")).await;
    kept(&quarantine, 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    kept(&quarantine, 1).await;
}
