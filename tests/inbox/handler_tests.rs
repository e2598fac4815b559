//! How users test their handlers: with arguments built by hand, and with signed payloads posted in process.

use axum::{Router, routing::post};
use bytes::Bytes;
use tower::Layer;
use tower_inbox::{
    Captures, Inbox, Inference, Secret,
    layer::Attempt,
    provider::{Payload, SignedProvider},
    signature::{QueryToken, StandardWebhooks},
    testing::{Sample, post_signed},
};

use crate::support::*;

#[test]
fn arguments_of_a_handler_are_built_for_a_unit_test() {
    let delivery = Sample::of(CAPTIONS).body(caption("1")).delivery();
    let decoded = Inference::<Caption>::load(delivery.clone()).unwrap();
    let payload = Caption::decode(&caption("1").into()).unwrap();
    let built = Inference::from_payload(payload, delivery.clone());
    assert_eq!((built.key(), &built.job), (decoded.key(), &decoded.job));

    let attempt = Attempt::new(2).in_background().as_new_version_of(delivery.id());
    assert_eq!((attempt.number(), attempt.lease()), (2, None));
    assert!(attempt.is_in_background() && !attempt.is_replay());
    assert_eq!(attempt.new_version_of(), Some(delivery.id()));
    assert!(Attempt::new(1).as_replay().is_replay());

    let captures = Captures::from_iter([("a", "1".to_owned()), ("b", "x/y".to_owned())]);
    assert_eq!(captures.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "x/y")]);
}

#[tokio::test]
async fn post_signed_signs_with_a_signature_a_message_id_and_a_token() {
    let secret = Secret::new("whsec_c2VjcmV0c2VjcmV0c2VjcmV0");
    let model = || tower_inbox::provider::ModelBuilder::<Caption>::new();
    let inbox = Inbox::builder(memory())
        .model("/signature", captions())
        .model("/message", model().verified_by(StandardWebhooks::new(secret.clone())))
        .model("/token", model().token_in_query("ticket", secret.clone()))
        .build()
        .unwrap();
    let on_caption = post(async |caption: Inference<Caption>| caption.job.clone());
    let app = Router::new()
        .route("/signature", on_caption.clone())
        .route("/message", on_caption.clone())
        .route("/token", on_caption)
        .layer(inbox.layer());
    let signature = Acme::scheme(Secret::new(SECRET).into());
    let message = StandardWebhooks::new(secret.clone());
    let token = QueryToken::new("ticket", secret);
    let schemes: [&dyn tower_inbox::signature::Scheme; 3] = [&signature, &message, &token];
    for (scheme, path) in schemes.into_iter().zip(["/signature", "/message", "/token"]) {
        let response = post_signed(app.clone(), scheme, path, caption(path)).await.unwrap();
        assert_eq!((response.status().as_u16(), response.body()), (200, &Bytes::from(path)));
        assert!(response.headers().contains_key("inbox-delivery-id"), "{path}");
    }
    let other = post_signed(app, &token, "/signature", caption("1")).await.unwrap();
    assert_eq!(other.status(), 401);
}

#[tokio::test]
async fn post_signed_posts_to_any_tower_service() {
    let (seen, inbox) = (Seen::default(), inbox(memory()));
    let scheme = Acme::scheme(Secret::new(SECRET).into());
    let service = inbox.layer().layer(handler(&seen));
    let response = post_signed(service, &scheme, CAPTIONS, caption("1")).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"a cat"[..]));
    assert_eq!(seen.all(), ["1"]);
}
