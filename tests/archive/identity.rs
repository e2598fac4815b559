//! The identity of a delivery is stored with it, because the stored head is redacted.

use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use tower_inbox::{
    Delivery, DeliveryId, Digest, DiskArchive, Receipt,
    archive::{Archive, Query},
    delivery::Redaction,
    signature::Proof,
};

use super::{deliveries_in, segments};

fn received(target: &str, body: &'static str, proof: Proof) -> Delivery {
    let (parts, body) = Request::post(target).body(Bytes::from(body)).unwrap().into_parts();
    let (id, model, at) = (DeliveryId::new(), "/hooks".parse().unwrap(), SystemTime::UNIX_EPOCH);
    let redaction = Redaction::default().query("ticket").as_proof();
    Delivery::received(id, model, &parts, body, at, proof, &redaction)
}

fn proof() -> Proof {
    Proof::new("hmac-sha256", "main", "raw")
}

/// Deliveries with distinct identities, each with a repeat that differs in other parts of the request.
fn originals_and_repeats() -> Vec<[Delivery; 2]> {
    let joined = proof().with_signed_digest(Digest::of(b"ab"));
    let message = |id: &str| proof().with_message_id(id);
    let by = |target, body, proof: &Proof| received(target, body, proof.clone());
    vec![
        ["/hooks?key=document-1&ticket=a", "/hooks?key=document-1&ticket=b"]
            .map(|t| by(t, "{}", &proof())),
        ["/hooks?key=document-2&ticket=a", "/hooks?key=document-2"].map(|t| by(t, "{}", &proof())),
        ["a\nb", "a\r\n\r\nb"].map(|body| by("/hooks", body, &joined)),
        ["/hooks", "/hooks?x=1"].map(|target| by(target, "{}", &message("msg 1"))),
        ["/hooks", "/hooks"].map(|target| by(target, "{}", &message("msg%201"))),
    ]
}

#[tokio::test]
async fn repeats_are_recognized_by_the_stored_fingerprint_after_a_restart() {
    for indexed in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (originals, repeats): (Vec<_>, Vec<_>) =
            originals_and_repeats().into_iter().map(|[one, two]| (one, two)).unzip();
        let builder = || DiskArchive::builder(dir.path()).maintenance_interval(None);
        let archive =
            builder().segment_size(if indexed { 1 } else { 1 << 20 }).open().await.unwrap();
        for one in &originals {
            assert_eq!(archive.append(one.clone()).await.unwrap(), Receipt::fresh(one.id()));
        }
        archive.maintain_now().await.unwrap();
        archive.close().await;
        assert_eq!(segments(dir.path()).len() > 1, indexed);
        assert_eq!(deliveries_in(dir.path()).await, originals);
        let archive = builder().open().await.unwrap();
        for (one, repeat) in originals.iter().zip(repeats) {
            assert_eq!(archive.append(repeat).await.unwrap(), Receipt::repeat(one.id()));
        }
    }
}

#[tokio::test]
async fn no_secret_of_the_query_is_stored_with_the_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    let one = received("/hooks?ticket=hunter2&key=hunter3", "{}", proof());
    let _ = archive.append(one.clone()).await.unwrap();
    archive.remove(Query::all().id(one.id())).await.unwrap();
    drop(archive);
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("hunter"));
    }
}
