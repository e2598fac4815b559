//! Fingerprints and inference keys: when two requests are one delivery, and when two deliveries are one inference.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_inbox::{
    Inbox, Inference, Model, Secret,
    archive::Query,
    delivery::Redaction,
    layer::{InboxBody, Quarantine},
    provider::{InferenceKey, ModelBuilder},
    signature::{BodyForm, HmacBody, Scheme, StandardWebhooks},
};

use crate::support::*;

fn inbox_of(model: Model) -> Inbox {
    Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap()
}

/// Sends requests sequentially, and returns the number of archived deliveries.
async fn archived_of(
    inbox: &Inbox,
    requests: impl IntoIterator<Item = Request<Full<Bytes>>>,
) -> usize {
    let seen = Seen::default();
    for request in requests {
        let answer = send(inbox.layer().layer(handler(&seen)), request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    bodies(inbox).await.len()
}

#[tokio::test]
async fn unsigned_line_breaks_do_not_make_a_new_delivery() {
    let scheme =
        HmacBody::new(SIGNATURE, Secret::new(SECRET)).form(BodyForm::RawOrWithoutLineBreaks);
    let inbox = inbox_of(ModelBuilder::<Caption>::new().verified_by(scheme));
    let signature = sign(caption("1").as_bytes());
    let requests = (0..5).map(|breaks| {
        let body = format!("{}{}", "\n".repeat(breaks), caption("1"));
        let request = Request::post(CAPTIONS).header(SIGNATURE, &signature);
        request.body(Full::from(body)).unwrap()
    });
    assert_eq!(archived_of(&inbox, requests).await, 1);
}

#[tokio::test]
async fn redacted_query_values_distinguish_deliveries_unless_they_prove_the_sender() {
    let tokens = [Secret::new("old").named("old"), Secret::new("new").named("new")];
    let model = ModelBuilder::<Caption>::new().token_in_query("ticket", tokens);
    let inbox = inbox_of(model.redact(Redaction::default().query("street")));
    let to = |query: &str| {
        Request::post(format!("{CAPTIONS}?{query}")).body(Full::from(caption("1"))).unwrap()
    };
    let repeats = ["ticket=old", "ticket=new", "TICKET=new"].map(to);
    assert_eq!(archived_of(&inbox, repeats).await, 1);
    let keys =
        ["key=document-1&ticket=old", "key=document-2&ticket=new", "key=document-2&ticket=old"];
    assert_eq!(archived_of(&inbox, keys.map(to)).await, 3);
    let streets = ["street=Elm&ticket=old", "street=Oak&ticket=old"].map(to);
    assert_eq!(archived_of(&inbox, streets).await, 5);
    for one in archived(inbox.archive()).await {
        let query = one.delivery.head().uri().query().unwrap().to_owned();
        assert!(!["old", "new", "Elm", "Oak"].iter().any(|secret| query.contains(secret)));
    }
}

fn webhooks(secret: &str) -> StandardWebhooks {
    StandardWebhooks::new(Secret::new(secret))
}

const RIGHT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn message(id: &str, seconds_ago: u64) -> Request<Full<Bytes>> {
    let body = caption("1");
    let at = SystemTime::now() - Duration::from_secs(seconds_ago);
    let (mut head, ()) = Request::post(CAPTIONS).body(()).unwrap().into_parts();
    webhooks(RIGHT).signature(id, body.as_bytes(), at).unwrap().add_to(&mut head).unwrap();
    Request::from_parts(head, Full::from(body))
}

#[tokio::test]
async fn message_id_identifies_a_delivery_regardless_of_its_timestamp() {
    let inbox = inbox_of(ModelBuilder::<Caption>::new().verified_by(webhooks(RIGHT)));
    let three = ["msg_1", "msg_2", "msg_3"].map(|id| message(id, 0));
    assert_eq!(archived_of(&inbox, three).await, 3);
    let again = [message("msg_1", 10), message("msg_1", 20)];
    assert_eq!(archived_of(&inbox, again).await, 3);
}

#[tokio::test]
async fn released_messages_with_equal_bodies_are_distinct_deliveries() {
    let (archive, quarantine) = (memory(), Quarantine::new(memory()));
    let with = |secret| {
        let model = ModelBuilder::<Caption>::new().verified_by(webhooks(secret));
        let builder = Inbox::builder(archive.clone()).model(CAPTIONS, model);
        builder.quarantine(quarantine.clone()).build().unwrap()
    };
    let mistyped = with("whsec_AAAA");
    for id in ["msg_1", "msg_2"] {
        let refused = send(mistyped.layer().layer(handler(&Seen::default())), message(id, 0)).await;
        assert_eq!(refused.status, 401);
        mistyped.settled().await;
    }
    let mended = with(RIGHT);
    let released = mended.release(Query::all()).await.unwrap();
    assert_eq!(released.iter().filter(|one| one.result.is_ok()).count(), 2, "{released:?}");
    // A later retry by the sender is a repeat of the released delivery.
    assert_eq!(archived_of(&mended, [message("msg_2", 5)]).await, 2);
}

#[tokio::test]
async fn inference_key_of_the_handler_has_the_captures_of_the_path() {
    let inbox = Inbox::builder(memory()).model("/hooks/{account}", captions()).build().unwrap();
    let seen = Seen::default();
    let keys = seen.clone();
    let handler = service_fn(move |request: Request<InboxBody<Full<Bytes>>>| {
        let key = request.extensions().get::<InferenceKey>().unwrap();
        assert_eq!(request.extensions().get::<Inference<Caption>>().unwrap().key(), key);
        assert_eq!(key.id(), "inv_1");
        keys.push(key.to_string());
        async { Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default())) }
    });
    for account in ["A", "B", "A", "x%26account=B"] {
        let request = signed_to(&format!("/hooks/{account}"), caption("inv_1"));
        assert_eq!(send(inbox.layer().layer(handler.clone()), request).await.status, 200);
    }
    assert_eq!(seen.all(), ["inv_1?account=A", "inv_1?account=B", "inv_1?account=x%26account%3DB"]);
}
