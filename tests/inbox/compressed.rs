//! Gzip-encoded bodies: decoded if the model decompresses, otherwise undecodable with a reason.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{Request, header::CONTENT_ENCODING};
use http_body_util::Full;
use tower::Layer;
use tower_inbox::{
    DiskArchive, Inbox, Model, Outcome, archive::Query, delivery::State, layer::Rejection,
};

use crate::support::*;

fn gzip(plain: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn gzipped_caption() -> Vec<u8> {
    gzip(caption("1").as_bytes(), Compression::default())
}

fn encoded(body: Vec<u8>, signature: String) -> Request<Full<Bytes>> {
    let request = Request::post(CAPTIONS).header(CONTENT_ENCODING, "gzip");
    request.header(SIGNATURE, signature).body(Full::new(body.into())).unwrap()
}

fn signed_as_sent(body: Vec<u8>) -> Request<Full<Bytes>> {
    let signature = sign(&body);
    encoded(body, signature)
}

fn inbox_of(model: Model) -> Inbox {
    Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap()
}

/// Returns the response, and the jobs that the handler has run.
async fn post(inbox: &Inbox, request: Request<Full<Bytes>>) -> (Answer, Vec<String>) {
    let seen = Seen::default();
    let answer = send(inbox.layer().layer(handler(&seen)), request).await;
    inbox.settled().await;
    (answer, seen.all())
}

fn reason(answer: &Answer) -> String {
    let Some(Rejection::Undecodable { reason, .. }) = &answer.rejection else {
        panic!("{answer:?}");
    };
    reason.clone()
}

#[tokio::test]
async fn gzip_encoded_body_is_undecodable_with_a_reason_that_names_gzip() {
    let undeclared = signed(gzipped_caption());
    for (request, how) in [
        (signed_as_sent(gzipped_caption()), "gzip-encoded (Content-Encoding: gzip)"),
        (undeclared, "gzip-encoded (without Content-Encoding)"),
    ] {
        let inbox = inbox_of(captions());
        let (answer, ran) = post(&inbox, request).await;
        assert_eq!((answer.status.as_u16(), ran.len()), (422, 0));
        let expected = format!("the body is {how}; enable Model::decompress()");
        assert_eq!(reason(&answer), expected);
        assert_eq!(bodies(&inbox).await, [gzipped_caption()]);
        let State::Outcome(Outcome::Undecodable { reason, .. }) = only_state(inbox.archive()).await
        else {
            panic!("another state");
        };
        assert!(reason.contains("gzip-encoded"), "{reason}");
    }
}

#[tokio::test]
async fn decompress_decodes_gzip_and_the_archive_keeps_the_bytes_as_sent() {
    let directory = tempfile::tempdir().unwrap();
    let open = async || {
        let archive = DiskArchive::open(directory.path()).await.unwrap();
        Inbox::builder(archive).model(CAPTIONS, captions().decompress()).build().unwrap()
    };
    let inbox = open().await;
    let (answer, ran) = post(&inbox, signed_as_sent(gzipped_caption())).await;
    assert_eq!((answer.status.as_u16(), ran), (200, vec!["1".to_owned()]));
    let signed_plain = encoded(gzipped_caption(), sign(caption("1").as_bytes()));
    assert_eq!(post(&inbox, signed_plain).await.0.status, 401);
    let plain = post(&inbox, signed(caption("2"))).await;
    assert_eq!(plain.1, ["2"], "a body without an encoding");
    drop(inbox);
    // The stored delivery can also be decoded after a restart.
    let inbox = open().await;
    assert_eq!(bodies(&inbox).await, [Bytes::from(gzipped_caption()), caption("2").into()]);
    inbox.check_types(Query::all()).await.assert_all_load();
}

#[tokio::test]
async fn decompressed_body_over_the_body_limit_is_undecodable() {
    let bomb = gzip(&vec![b' '; 8 << 20], Compression::best());
    let inbox = inbox_of(captions().decompress().body_limit(1 << 20));
    let (answer, ran) = post(&inbox, signed_as_sent(bomb)).await;
    assert_eq!((answer.status.as_u16(), ran.len()), (422, 0));
    assert!(reason(&answer).contains("longer than 1048576 bytes when decompressed"), "{answer:?}");
}

#[tokio::test]
async fn decompress_before_verifying_checks_the_signature_of_the_plain_text() {
    let inbox = inbox_of(captions().decompress_before_verifying().body_limit(1000));
    let (answer, ran) = post(&inbox, signed_as_sent(gzipped_caption())).await;
    assert_eq!((answer.status.as_u16(), ran.len()), (401, 0));
    let signature = sign(caption("1").as_bytes());
    let (answer, ran) = post(&inbox, encoded(gzipped_caption(), signature.clone())).await;
    assert_eq!((answer.status.as_u16(), ran), (200, vec!["1".to_owned()]));
    // A repeat with another compression level.
    let other = gzip(caption("1").as_bytes(), Compression::none());
    let (answer, ran) = post(&inbox, encoded(other, signature)).await;
    assert_eq!((answer.status.as_u16(), ran.len()), (200, 0));
    assert_eq!(bodies(&inbox).await, [gzipped_caption()]);
    // A body that exceeds the limit after decompression is rejected like one without a signature.
    let long = caption("2") + &" ".repeat(1000);
    let bomb = gzip(long.as_bytes(), Compression::best());
    assert_eq!(post(&inbox, encoded(bomb, sign(long.as_bytes()))).await.0.status, 401);
}
