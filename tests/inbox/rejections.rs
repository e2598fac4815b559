//! Invalid requests: the response to each, and whether it is archived.

use std::{
    convert::Infallible,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use tokio::sync::mpsc;
use tower::{Layer, Service};
use tower_inbox::{
    Archive, BuildError, Captures, DiskArchive, Inbox, MemoryArchive, Outcome, Secret,
    archive::{Append, Appended, ArchiveError, Work},
    delivery::State,
    layer::{InboxBody, ModelError, Rejection},
    provider::{ModelBuilder, Profile},
    signature::{Scheme, SchemeError, SignatureError, StandardWebhooks},
};

use crate::support::{
    archive_wrapper::{Overridden, Overrides},
    *,
};

/// Sends one request to a new inbox whose handler must not run.
async fn refused(request: Request<Full<Bytes>>) -> (Answer, Inbox) {
    refused_by(inbox(memory()), request).await
}

async fn refused_by<B>(inbox: Inbox, request: Request<B>) -> (Answer, Inbox)
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
{
    let seen = Seen::default();
    let service = inbox.layer().layer(handler::<B>(&seen));
    let answer = send(service, request).await;
    assert_eq!(seen.all(), Vec::<String>::new(), "the handler ran");
    inbox.settled().await;
    (answer, inbox)
}

fn with_signatures(signatures: &[&str]) -> Request<Full<Bytes>> {
    let mut request = Request::post(CAPTIONS);
    for signature in signatures {
        request = request.header(SIGNATURE, *signature);
    }
    request.body(Full::new(caption("1").into())).unwrap()
}

/// A request with a plausible head. Its signature matches no body that these tests send.
pub(crate) fn unproved() -> http::request::Builder {
    Request::post(CAPTIONS).header(SIGNATURE, sign(b"other bytes"))
}

#[tokio::test]
async fn invalid_signature_is_answered_401_and_not_archived() {
    let good = sign(caption("1").as_bytes());
    let other = sign(b"other bytes");
    let not_hex = "g".repeat(64);
    for signatures in [
        vec![],
        vec![other.as_str()],
        vec![&good[1..]],
        vec![not_hex.as_str()],
        vec![""],
        vec![good.as_str(), good.as_str()],
        vec![good.as_str(), other.as_str()],
    ] {
        let (answer, inbox) = refused(with_signatures(&signatures)).await;
        assert_problem(&answer, 401);
        assert!(matches!(answer.rejection, Some(Rejection::Signature(_))), "{signatures:?}");
        assert!(answer.headers.contains_key("www-authenticate"));
        assert!(bodies(&inbox).await.is_empty(), "{signatures:?}");
    }
}

#[tokio::test]
async fn signature_in_upper_case_is_accepted() {
    let inbox = inbox(memory());
    let upper = sign(caption("1").as_bytes()).to_uppercase();
    let seen = Seen::default();
    let service = inbox.layer().layer(handler(&seen));
    assert_eq!(send(service, with_signatures(&[&upper])).await.status, 200);
    assert_eq!(bodies(&inbox).await, [caption("1")]);
}

#[test]
fn empty_secret_is_an_error_of_build() {
    let unsafe_model = ModelBuilder::<Caption>::new().signed_with(Secret::new(""));
    let error = Inbox::builder(memory()).model(CAPTIONS, unsafe_model).build().unwrap_err();
    let BuildError::Model(ModelError::Scheme { source, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(source, SchemeError::EmptySecret { name: "main".to_owned() });
}

#[test]
fn secret_with_white_space_or_quotation_marks_is_an_error_of_build() {
    for (secret, problem) in [
        ("hunter2\n", "white space or a line break around it; remove it"),
        (" hunter2", "white space or a line break around it; remove it"),
        ("\"hunter2\"", "quotation marks around it; remove them"),
        ("v1,whsec_hunter2", "starts with `v1,whsec_`"),
    ] {
        let secret = || Secret::new(secret).named("CAPTIONS_SECRET");
        let model = ModelBuilder::<Caption>::new().signed_with(secret());
        let error = Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap_err();
        let mut shown = format!("{error:?} {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            shown = format!("{shown}: {error}");
            cause = error.source();
        }
        assert!(shown.contains(problem) && shown.contains("CAPTIONS_SECRET"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

pub(crate) type Parts = UnsyncBoxBody<Bytes, Infallible>;

/// A body that arrives in parts, without an announced length. It ends when the sender is dropped.
pub(crate) fn parts() -> (mpsc::UnboundedSender<&'static [u8]>, Parts) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let frames = stream::unfold(receiver, async |mut receiver: mpsc::UnboundedReceiver<_>| {
        let part = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from_static(part))), receiver))
    });
    (sender, UnsyncBoxBody::new(StreamBody::new(frames)))
}

fn limited(limit: usize) -> Inbox {
    let model = captions().body_limit(limit).body_timeout(Duration::from_secs(30));
    Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap()
}

#[tokio::test]
async fn body_announced_over_the_limit_is_answered_413_without_reading_it() {
    /// Announces a length one byte over the limit. Panics if it is polled.
    struct Announced;

    impl http_body::Body for Announced {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("somebody reads the body")
        }

        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(101)
        }
    }

    let request = unproved().body(Announced).unwrap();
    let (answer, inbox) = refused_by(limited(100), request).await;
    assert_problem(&answer, 413);
    assert!(bodies(&inbox).await.is_empty());
}

#[tokio::test]
async fn request_rejected_by_its_head_is_answered_401_without_reading_its_body() {
    // The sender sends nothing: waiting for the body would end with a 408.
    let (_sender, body) = parts();
    let request = Request::post(CAPTIONS).body(body).unwrap();
    assert_problem(&refused_by(inbox(memory()), request).await.0, 401);
}

#[tokio::test]
async fn body_over_the_limit_is_answered_413_before_its_end() {
    // The sender is not dropped, so the response must not wait for the rest.
    let (sender, body) = parts();
    sender.send(&[b' '; 60]).unwrap();
    sender.send(&[b' '; 60]).unwrap();
    let (answer, inbox) = refused_by(limited(100), unproved().body(body).unwrap()).await;
    assert_problem(&answer, 413);
    assert_eq!(inbox.bytes_in_flight(), 0);
    assert!(bodies(&inbox).await.is_empty());
}

#[tokio::test]
async fn body_of_exactly_the_limit_is_accepted() {
    let body = caption("1");
    let inbox = limited(body.len());
    let seen = Seen::default();
    let service = inbox.layer().layer(handler(&seen));
    assert_eq!(send(service, signed(body)).await.status, 200);
}

#[tokio::test]
async fn body_that_is_cut_off_is_not_archived() {
    let frames: [Result<_, &str>; 2] = [Ok(Frame::data(Bytes::from_static(b"{}"))), Err("gone")];
    let body = StreamBody::new(stream::iter(frames));
    let (answer, inbox) = refused_by(inbox(memory()), unproved().body(body).unwrap()).await;
    assert_problem(&answer, 400);
    assert!(bodies(&inbox).await.is_empty());
}

#[tokio::test]
async fn delivery_that_was_read_whole_is_archived_after_its_client_hung_up() {
    let inbox = inbox(memory());
    let seen = Seen::default();
    let (sender, body) = parts();
    let text: &'static [u8] = caption("1").leak().as_bytes();
    let request = Request::post(CAPTIONS).header(SIGNATURE, sign(text)).body(body).unwrap();
    // The server drops the response future before polling it, while the body is in its channel.
    let response = inbox.layer().layer(handler::<Parts>(&seen)).call(request);
    sender.send(text).unwrap();
    drop((response, sender));
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    inbox.settled().await;
    assert_eq!((bodies(&inbox).await.len(), seen.all()), (1, vec!["1".to_owned()]));
}

#[tokio::test]
async fn body_shorter_than_its_announced_length_is_not_archived() {
    /// A body that ends early without an error, as some servers present a lost connection.
    struct Short(Full<Bytes>);

    impl http_body::Body for Short {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            std::pin::Pin::new(&mut self.0).poll_frame(context)
        }

        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(1000)
        }
    }

    let request = signed(caption("1")).map(Short);
    let (answer, inbox) = refused_by(inbox(memory()), request).await;
    assert_problem(&answer, 400);
    assert!(bodies(&inbox).await.is_empty());
}

#[tokio::test]
async fn bytes_over_the_budget_are_answered_503_at_once() {
    // Each request counts 4 KiB plus its headers, and one model may use three eighths of the budget.
    let inbox =
        Inbox::builder(memory()).model(CAPTIONS, captions()).bytes_in_flight(24_000).build();
    let inbox = inbox.unwrap();
    let seen = Seen::default();
    let service = inbox.layer().layer(handler(&seen));
    let (sender, slow) = parts();
    sender.send(&[b' '; 900]).unwrap();
    let request = unproved().body(slow.boxed_unsync()).unwrap();
    let waiting = tokio::spawn(send(service.clone(), request));
    while inbox.bytes_in_flight() < 4096 + 900 {
        tokio::task::yield_now().await;
    }
    let refused = send(service.clone(), signed(caption("1")).map(BodyExt::boxed_unsync)).await;
    assert_problem(&refused, 503);
    assert_eq!(refused.headers["retry-after"], "5");
    assert!(matches!(refused.rejection, Some(Rejection::Overloaded)));
    // The budget also applies to a body without an announced length.
    sender.send(&[b' '; 4096]).unwrap();
    assert_problem(&waiting.await.unwrap(), 503);
    assert_eq!(inbox.bytes_in_flight(), 0);
    let accepted = send(service, signed(caption("1")).map(BodyExt::boxed_unsync)).await;
    assert_eq!(accepted.status, 200);
    assert_eq!(inbox.bytes_in_flight(), 0);
}

fn deep() -> String {
    format!(r#"{{"job": {}1"#, "[".repeat(10_000))
}

/// Undecodable bodies, each with the path of the error.
fn undecodable() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (b"".to_vec(), "$"),
        (b"caption=cat".to_vec(), "$"),
        (br#"{"job": "1""#.to_vec(), "$"),
        (br#"{"job": 1, "text": "a"}"#.to_vec(), "$.job"),
        (b"[]".to_vec(), "$"),
        (deep().into_bytes(), "$.job"),
        (b"{\"job\": \"\xff\", \"text\": \"a\"}".to_vec(), "$.job"),
        (br#"{"job": "1", "text": "a", "score": 1e999}"#.to_vec(), "$.score"),
    ]
}

#[tokio::test]
async fn undecodable_body_is_answered_422_with_its_json_path_and_archived() {
    for (body, path) in undecodable() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let (answer, inbox) = refused(signed(body.clone())).await;
        assert_problem(&answer, 422);
        let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["path"], path, "{shown}");
        assert_eq!(bodies(&inbox).await, [body], "{shown}");
        let archived = archived(inbox.archive()).await;
        assert!(
            matches!(archived[0].state, State::Outcome(Outcome::Undecodable { .. })),
            "{shown}"
        );
        let id = archived[0].delivery.id().to_string();
        assert_eq!(answer.headers["inbox-delivery-id"], id.as_str());
    }
}

#[tokio::test]
async fn undecodable_body_is_answered_202_if_the_provider_gives_up_on_4xx() {
    let model = captions().profile(Profile::GIVES_UP_ON_4XX);
    let inbox = Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap();
    let (answer, inbox) = refused_by(inbox, signed("not JSON")).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(bodies(&inbox).await, ["not JSON"]);
}

#[tokio::test]
async fn payload_type_that_panics_while_decoding_is_undecodable() {
    #[derive(Debug)]
    struct Bomb;
    impl tower_inbox::provider::Payload for Bomb {
        type Provider = Acme;
        fn decode(_: &Bytes) -> Result<Self, tower_inbox::provider::DecodeError> {
            panic!("a mistake in the user's type")
        }
        fn key(&self) -> tower_inbox::provider::InferenceKey {
            tower_inbox::provider::InferenceKey::new("")
        }
    }

    let model = ModelBuilder::<Bomb>::new().signed_with(Secret::new(SECRET));
    let inbox = Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap();
    let (answer, inbox) = refused_by(inbox, signed("{}")).await;
    assert_problem(&answer, 422);
    let archived = archived(inbox.archive()).await;
    assert!(matches!(archived[0].state, State::Outcome(Outcome::Undecodable { .. })));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_rejected() {
    let inbox =
        Inbox::builder(memory()).model(CAPTIONS, captions()).reserve_prefix("/hooks").build();
    let inbox = inbox.unwrap();
    inbox.models().add("/hooks/old", captions()).unwrap();
    assert!(inbox.models().remove("/hooks/old"));
    let answer = async |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Full::default()).unwrap();
        refused_by(inbox.clone(), request).await.0
    };
    assert_problem(&answer(Method::POST, "/hooks/unknown").await, 404);
    assert_problem(&answer(Method::POST, "/hooks/captions/").await, 404);
    assert_problem(&answer(Method::POST, "/hooks/old").await, 410);
    let get = answer(Method::GET, CAPTIONS).await;
    assert_problem(&get, 405);
    assert_eq!(get.headers["allow"], "POST");
    assert!(bodies(&inbox).await.is_empty());
}

#[tokio::test]
async fn archive_that_fails_is_answered_503_and_never_2xx() {
    #[derive(Debug)]
    struct Broken(MemoryArchive);
    impl Overrides for Broken {
        fn inner(&self) -> &dyn Archive {
            &self.0
        }

        fn append(&self, _: Append) -> Work<Appended> {
            Box::pin(std::future::ready(Err(ArchiveError::Overloaded)))
        }
    }

    let inbox = inbox(Overridden(Broken(memory())));
    let (answer, _) = refused_by(inbox, signed(caption("1"))).await;
    assert_problem(&answer, 503);
    assert_eq!(answer.headers["retry-after"], "5");
}

/// No secret, query or body of an accepted or rejected request reaches the log, the response or the archive.
#[tokio::test]
async fn secrets_are_never_logged_answered_or_archived() {
    let model = || ModelBuilder::<Caption>::new().token_in_query("ticket", Secret::new("HUNTER2"));
    let log = Log::default();
    let _logging = log.here();
    for uri in [
        "/hooks/secret?ticket=HUNTER2&street=ELM",
        "/hooks/secret?ticket=HUNTER3&street=ELM",
        "/hooks/secret?ticket=HUNTER2&ticket=HUNTER3",
        "/hooks/unknown?ticket=HUNTER2",
    ] {
        // The id of an inference is logged, because it is not a secret.
        for body in [
            r#"{"job": "1", "text": "a cat", "note": "HUNTER4"}"#,
            r#"{"job": {"HUNTER5": "HUNTER6"}}"#,
        ] {
            let inbox =
                Inbox::builder(memory()).model("/hooks/secret", model()).reserve_prefix("/hooks");
            let inbox = inbox.build().unwrap();
            let seen = Seen::default();
            let service = inbox.layer().layer(handler(&seen));
            let request = Request::post(uri)
                .header("authorization", "Bearer HUNTER7")
                .body(Full::<Bytes>::new(body.into()))
                .unwrap();
            let answer = send(service, request).await;
            inbox.settled().await;
            assert!(!answer.body.contains("HUNTER"), "{}", answer.body);
            for archived in archived(inbox.archive()).await {
                let shown = format!("{archived:?}");
                assert!(!shown.contains("HUNTER"), "{shown}");
                assert!(shown.contains("street=ELM"), "{shown}");
            }
        }
    }
    let log = log.text();
    assert!(log.contains("delivery{id=") && log.contains("model=/hooks/secret"), "{log}");
    assert!(!log.contains("HUNTER") && !log.contains("ELM"), "{log}");
}

/// Returns the log of requests that are rejected by their signature.
async fn log_of_rejected(requests: impl IntoIterator<Item = Request<Full<Bytes>>>) -> String {
    let log = Log::default();
    {
        let _logging = log.here();
        let scheme = StandardWebhooks::new(Secret::new("whsec_AAAA"));
        let inbox = Inbox::builder(memory())
            .model("/hooks/webhooks", ModelBuilder::<Caption>::new().verified_by(scheme))
            .model(CAPTIONS, captions())
            .build()
            .unwrap();
        for request in requests {
            let service = inbox.layer().layer(handler(&Seen::default()));
            let answer = send(service, request).await;
            assert_eq!(answer.status, 401);
            assert!(!answer.body.contains("svix") && !answer.body.contains("gzip"));
        }
    }
    log.text()
}

#[tokio::test]
async fn log_line_of_a_401_has_the_finding_of_the_doctor() {
    let svix = Request::post("/hooks/webhooks").header("svix-id", "HUNTER2");
    let log = log_of_rejected([svix.body(Full::default()).unwrap()]).await;
    let line = log.lines().find(|line| line.contains("signature was rejected")).unwrap();
    assert!(line.contains("finding=there is a header svix-id"), "{line}");
    assert!(!log.contains("HUNTER2"), "{log}");

    let prefixed = format!("SHA256={}", sign(b"{}"));
    let prefixed = Request::post(CAPTIONS).header(SIGNATURE, &prefixed);
    let zipped =
        Request::post(CAPTIONS).header(SIGNATURE, sign(b"{}")).header("content-encoding", "gzip");
    let requests = [prefixed, zipped].map(|request| request.body(Full::from("zipped")).unwrap());
    let log = log_of_rejected(requests).await;
    assert!(log.contains("64 hexadecimal digits after `sha256=` in upper case"), "{log}");
    assert!(log.contains("content-encoding gzip"), "{log}");
    assert!(!log.contains(&sign(b"{}")), "{log}");
}

/// Sends 1000 requests to one inbox that rejects them, and returns its log.
async fn log_of_a_flood(requests: impl Fn() -> Request<Full<Bytes>>) -> String {
    let log = Log::default();
    {
        let _logging = log.here();
        let inbox = Inbox::builder(memory())
            .model(CAPTIONS, captions())
            .reserve_prefix("/hooks")
            .peer_address(|head| head.extensions.get().copied())
            .build()
            .unwrap();
        let service = inbox.layer().layer(handler(&Seen::default()));
        for _ in 0..1000 {
            let mut request = requests();
            request.extensions_mut().insert(IpAddr::from([192, 0, 2, 7]));
            let answer = send(service.clone(), request).await;
            assert!(answer.status.is_client_error());
        }
    }
    log.text()
}

#[tokio::test]
async fn flood_of_rejected_requests_is_logged_at_a_limited_rate_with_the_peer() {
    let forged = || unproved().body(Full::from("forged")).unwrap();
    let unsigned = || Request::post(CAPTIONS).body(Full::default()).unwrap();
    let unknown = || Request::post("/hooks/unknown").body(Full::default()).unwrap();
    let get = || Request::get(CAPTIONS).body(Full::default()).unwrap();
    for (log, message) in [
        (log_of_a_flood(forged).await, "the signature was rejected"),
        (log_of_a_flood(unsigned).await, "the signature was rejected"),
        (log_of_a_flood(unknown).await, "no model has this path"),
        (log_of_a_flood(get).await, "the endpoint does not accept this method"),
    ] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(message)).collect();
        // The limit is 10 lines in 10 s. More are logged only if the machine is very slow.
        assert!((10..100).contains(&lines.len()), "{} lines", lines.len());
        assert!(lines.iter().all(|line| line.contains("peer=192.0.2.7")), "{}", lines[0]);
    }
}

#[test]
fn error_of_a_scheme_contains_nothing_of_the_request() {
    let scheme = ModelBuilder::<Caption>::new().signed_with(Secret::new(SECRET));
    assert!(!format!("{scheme:?}").contains(SECRET));
    let parts = with_signatures(&["HUNTER2"]).into_parts().0;
    let scheme = tower_inbox::signature::HmacBody::new(SIGNATURE, Secret::new(SECRET));
    let error = scheme.verify(&parts, b"", SystemTime::now()).unwrap_err();
    assert!(matches!(error, SignatureError::Malformed { .. }));
    assert!(!format!("{error:?} {error}").contains("HUNTER2"));
}

#[tokio::test]
async fn hostile_captures_are_text_and_never_used_as_file_names() {
    let directory = tempfile::tempdir().unwrap();
    let archive = DiskArchive::open(directory.path().join("inbox")).await.unwrap();
    let inbox = Inbox::builder(archive).model("/hooks/p/{reference}", captions()).build().unwrap();
    let long = "x".repeat(4096);
    let captured = tower::service_fn(async |request: Request<InboxBody<Full<Bytes>>>| {
        let captures = request.extensions().get::<Captures>().unwrap();
        let reference = captures.get("reference").unwrap().to_owned();
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(reference)))
    });
    let hostile = [
        ("..", ".."),
        ("..%2F..%2Fetc", "../../etc"),
        ("%00", "\0"),
        ("%0d%0a", "\r\n"),
        ("%2520", "%20"),
        (&long, &long),
    ];
    for (number, (capture, text)) in hostile.iter().enumerate() {
        let request = signed_to(&format!("/hooks/p/{capture}"), caption(&number.to_string()));
        let answer = send(inbox.layer().layer(captured), request).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, *text), "{capture}");
    }
    assert_eq!(bodies(&inbox).await.len(), hostile.len());
    let names = |folder: &std::path::Path| {
        let files = std::fs::read_dir(folder).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(directory.path()), ["inbox"]);
    for name in names(&directory.path().join("inbox")) {
        assert!(name == "inbox.lock" || name.ends_with(".warc.open"), "{name}");
    }
}
