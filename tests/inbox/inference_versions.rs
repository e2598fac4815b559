//! Versions of an inference: FoxyAI posts a group after each change, in any order.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_inbox::{
    Inbox, Inference, Secret,
    layer::InboxBody,
    provider::foxyai::{self, ImageGroup},
};

use crate::support::{archived, memory, processed, send};

fn group(name: &str, time: &str) -> Request<Full<Bytes>> {
    let body = format!(
        r#"{{"_id": "g1", "name": "{name}", "status": "completed", "updatedAt": "2026-03-01T09:00:{time}"}}"#
    );
    Request::post("/foxyai?token=t").body(Full::from(body)).unwrap()
}

#[tokio::test]
async fn late_older_version_is_handled_and_does_not_replace_a_newer_one() {
    let model = foxyai::image_group().token_in_query("token", Secret::new("t"));
    let inbox = Inbox::builder(memory()).model("/foxyai", model).build().unwrap();
    let latest = Arc::new(Mutex::new(None::<ImageGroup>));
    let kept = Arc::clone(&latest);
    let service =
        inbox.layer().layer(service_fn(move |request: Request<InboxBody<Full<Bytes>>>| {
            let group: &Inference<ImageGroup> = request.extensions().get().unwrap();
            let mut latest = kept.lock().unwrap();
            if latest.as_ref().is_none_or(|latest| group.is_newer_than(latest)) {
                *latest = Some((**group).clone());
            }
            std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
        }));
    for (name, time, wanted) in [
        ("newer", "07.250Z", "newer"),
        ("older", "07Z", "newer"),
        ("newest", "07.5Z", "newest"),
        ("oldest", "06.999Z", "newest"),
    ] {
        assert_eq!(send(service.clone(), group(name, time)).await.status, 200);
        assert_eq!(latest.lock().unwrap().as_ref().unwrap().name.as_deref(), Some(wanted));
    }
    inbox.settled().await;
    let all = archived(inbox.archive()).await;
    assert_eq!(all.len(), 4, "each state is kept");
    assert!(all.iter().all(|one| processed(&one.state) == Some(200)));
}
