//! Redaction: credentials never reach an archive, in any header; other values do.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::Layer;
use tower_inbox::{
    Archive, Delivery, DiskArchive, Inbox, Model, Secret,
    archive::Query,
    delivery::Redaction,
    layer::InboxBody,
    provider::ModelBuilder,
    signature::{BasicAuth, HeaderToken},
};

use crate::support::*;

const TOKEN: &str = "hunter2 & more";
const ENCODED: &str = "hunter2%20%26%20more";
const OWN: &str = "customer_id=3&user=7&key=order-9&password=of-the-pdf";

/// A model with its credentials: the query and the header that carry them, and the stored form of the query.
struct Case {
    model: Model,
    proving: String,
    header: Option<(&'static str, String)>,
    stored: &'static str,
}

fn draft() -> ModelBuilder<Caption> {
    ModelBuilder::new()
}

fn cases() -> Vec<Case> {
    let secret = || Secret::new(TOKEN);
    let basic = "Basic bWU6aHVudGVyMiAmIG1vcmU=";
    let hidden = captions().redact(Redaction::default().query("pin"));
    let none = String::new;
    vec![
        Case {
            model: draft().token_in_query("ticket", secret()),
            proving: format!("&ticket={ENCODED}"),
            header: None,
            stored: "&ticket=REDACTED",
        },
        Case {
            model: draft().verified_by(HeaderToken::bearer(secret())),
            proving: none(),
            header: Some(("authorization", format!("Bearer {TOKEN}"))),
            stored: "",
        },
        Case {
            model: draft().verified_by(BasicAuth::new("me", secret())),
            proving: none(),
            header: Some(("authorization", basic.to_owned())),
            stored: "",
        },
        Case {
            model: hidden,
            proving: format!("&pin={ENCODED}"),
            header: Some(("x-acme-signature", sign(caption("1").as_bytes()))),
            stored: "&pin=REDACTED",
        },
    ]
}

fn request(case: &Case) -> Request<Full<Bytes>> {
    let target = format!("{CAPTIONS}?{OWN}{}", case.proving);
    let nested: String = form_encoded(&format!("https://h{target}&t={ENCODED}"));
    let mut request = Request::post(&target)
        .header("x-forwarded-url", format!("https://h{target}&t={ENCODED}"))
        .header("x-request-url", format!("{target}&t=hunter2+%26+more"))
        .header("x-original-uri", format!("{target}&t={ENCODED}"))
        .header("referer", format!("https://h/login?next={nested}"))
        .header("forwarded", format!("for=1.2.3.4;path=\"{target}&t={ENCODED}\""))
        .header("x-copy", TOKEN)
        .header("x-order", "order-9");
    if let Some((name, value)) = &case.header {
        request = request.header(*name, value);
    }
    request.body(Full::from(caption("1"))).unwrap()
}

fn form_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Asserts that the stored head contains the receiver's own values, and no part of the secret.
fn assert_redacted(delivery: &Delivery, case: &Case) {
    let head = delivery.head();
    let query = format!("{OWN}{}", case.stored);
    assert_eq!(head.uri().path_and_query().unwrap().as_str(), format!("{CAPTIONS}?{query}"));
    let shown = format!("{head:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMi"), "{shown}");
    let header = |name: &str| head.headers()[name].to_str().unwrap().to_owned();
    for name in ["x-forwarded-url", "x-request-url", "x-original-uri", "forwarded"] {
        let value = header(name);
        assert!(value.contains(&format!("{query}&t=REDACTED")), "{name}: {value}");
    }
    let referer = header("referer");
    assert!(referer.starts_with("https://h/login?next=https%3A%2F%2Fh"), "{referer}");
    assert!(referer.contains("customer%5Fid%3D3%26user%3D7%26key%3Dorder%2D9"), "{referer}");
    assert_eq!((header("x-copy").as_str(), header("x-order").as_str()), ("REDACTED", "order-9"));
}

async fn receive_and_replay(archive: impl Archive, case: &Case) -> Inbox {
    let inbox = Inbox::builder(archive).model(CAPTIONS, case.model.clone()).build().unwrap();
    let handled = Seen::default();
    let heads = handled.clone();
    let service = tower::service_fn(move |request: Request<InboxBody<Full<Bytes>>>| {
        let delivery = request.extensions().get::<Delivery>().unwrap();
        heads.push(format!("{:?}", delivery.head()));
        async { Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default())) }
    });
    let answer = send(inbox.layer().layer(service.clone()), request(case)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let again = send(inbox.layer().layer(service.clone()), request(case)).await;
    assert!(again.headers.contains_key("inbox-repeat"), "{again:?}");
    let [archived] = &archived(inbox.archive()).await[..] else { panic!("one delivery") };
    assert_redacted(&archived.delivery, case);
    let replay = inbox.replay(Query::all()).through::<Full<Bytes>>(service);
    let mut replaying = replay.start().await.unwrap();
    while let Some(replayed) = replaying.next().await {
        assert!(replayed.is_processed(), "{replayed:?}");
    }
    let handled = handled.all();
    assert_eq!(handled.len(), 2, "the request and the replay");
    assert_eq!(handled[0], handled[1], "a replay gets what the handler got");
    assert!(handled[0].contains("customer_id=3") && !handled[0].contains("hunter2"));
    inbox
}

#[tokio::test]
async fn proving_values_are_redacted_everywhere_and_other_values_kept_in_memory() {
    for case in cases() {
        receive_and_replay(memory(), &case).await;
    }
}

#[tokio::test]
async fn proving_values_are_redacted_everywhere_and_other_values_kept_on_disk() {
    for case in cases() {
        let directory = tempfile::tempdir().unwrap();
        let archive = DiskArchive::open(directory.path()).await.unwrap();
        let inbox = receive_and_replay(archive, &case).await;
        drop(inbox);
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let holds = |secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!holds(b"hunter2") && !holds(b"aHVudGVyMi"));
        }
        let archive = DiskArchive::open(directory.path()).await.unwrap();
        let [archived] = &archived(&archive).await[..] else { panic!("one delivery") };
        assert_redacted(&archived.delivery, &case);
    }
}

#[tokio::test]
async fn deliveries_that_differ_only_in_redacted_values_are_distinct() {
    let model = captions().redact(Redaction::default().query("pin"));
    let inbox = Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap();
    for pin in ["hunter2-1", "hunter2-2", "hunter2-1"] {
        let target = format!("{CAPTIONS}?pin={pin}&copy={pin}");
        let answer =
            send(inbox.layer().layer(handler(&Seen::default())), signed_to(&target, caption("1")));
        assert_eq!(answer.await.status, 200);
    }
    let archived = archived(inbox.archive()).await;
    assert_eq!(archived.len(), 2);
    for one in &archived {
        let uri = one.delivery.head().uri();
        assert_eq!(uri.query(), Some("pin=REDACTED&copy=REDACTED"));
    }
}
