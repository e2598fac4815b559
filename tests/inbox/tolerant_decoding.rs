//! Tolerant decoding: unexpected members of the provider's envelope do not fail a delivery; they are logged once per
//! path and counted. `Model::strict` disables it.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::Layer;
use tower_inbox::{
    Inbox, Inference, Model,
    layer::InboxBody,
    provider::foxyai::{self, ImageGroup},
};

use crate::support::*;

const GROUPS: &str = "/hooks/groups";

fn inbox_of(model: impl Fn(Model) -> Model) -> Inbox {
    let groups = model(foxyai::image_group().unsigned());
    Inbox::builder(memory()).model(GROUPS, groups).build().unwrap()
}

/// Posts a body. Returns the status, and the number of tolerated members that the handler received.
async fn post(inbox: &Inbox, body: &str) -> (u16, String) {
    let service =
        inbox.layer().layer(tower::service_fn(async |request: Request<InboxBody<Full<Bytes>>>| {
            let group = request.extensions().get::<Inference<ImageGroup>>().unwrap();
            let tolerated = group.tolerated().len().to_string();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(tolerated)))
        }));
    let answer =
        send(service, Request::post(GROUPS).body(Full::new(body.to_owned().into())).unwrap()).await;
    (answer.status.as_u16(), answer.body)
}

fn odd(id: &str) -> String {
    format!(
        r#"{{"_id": "{id}", "updatedAt": "t", "name": ["secret"], "images": [{{"_id": "i", "url": 7}}, {{"_id": "j", "url": 8}}]}}"#
    )
}

#[tokio::test]
async fn tolerated_members_are_logged_once_per_path_without_their_values() {
    let inbox = inbox_of(|model| model);
    let log = Log::default();
    let _logging = log.here();
    for id in ["g1", "g2", "g3"] {
        assert_eq!(post(&inbox, &odd(id)).await, (200, "3".to_owned()));
    }
    let lines = |path: &str| {
        log.text()
            .lines()
            .filter(|line| line.contains("tolerated: ") && line.contains(path))
            .count()
    };
    assert_eq!(
        (lines("path=\"$.name\""), lines("path=\"$.images[*].url\"")),
        (1, 1),
        "{}",
        log.text()
    );
    assert!(!log.text().contains("secret"), "{}", log.text());
}

#[tokio::test]
async fn strict_model_rejects_as_undecodable_and_archives_bodies_that_would_be_tolerated() {
    let inbox = inbox_of(Model::strict);
    let (status, _) = post(&inbox, &odd("g1")).await;
    assert_eq!(status, 202);
    inbox.settled().await;
    let archived = archived(inbox.archive()).await;
    assert!(archived[0].state.to_string().starts_with("undecodable"), "{}", archived[0].state);
    assert_eq!(archived[0].delivery.body(), odd("g1").as_bytes());
}

#[cfg(feature = "metrics")]
#[test]
fn tolerated_members_are_counted_in_every_delivery() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let inbox = inbox_of(|model| model);
            for id in ["g1", "g2"] {
                post(&inbox, &odd(id)).await;
            }
        });
    });
    let snapshot = snapshotter.snapshot().into_vec();
    let counted =
        snapshot.iter().find(|(key, ..)| key.key().name() == "inbox_tolerated_members_total");
    assert!(matches!(counted.unwrap().3, DebugValue::Counter(6)), "{counted:?}");
}
