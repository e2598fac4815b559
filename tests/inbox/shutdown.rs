//! Graceful shutdown: it ends within its timeout even if clients, handlers or the archive hang, and requeues the rest.

use std::{
    convert::Infallible,
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, DiskArchive, Inbox, MemoryArchive, Outcome,
    archive::{ArchiveError, Lease, Work},
    delivery::State,
    layer::{InboxBody, Rejection},
};

use crate::{
    receiver::{EXTRACTED, raw_post},
    rejections::parts,
    support::{
        archive_wrapper::{Overridden, Overrides},
        receiver_process::Receiver,
        script::{Reply, Script},
        *,
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// The time after which a test fails instead of hanging.
const LONGEST: Duration = Duration::from_secs(60);

/// The limit for a shutdown. Kubernetes kills a process after 30 s by default.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(25);

/// An archive that cannot record outcomes until it is healed.
#[derive(Clone, Debug)]
struct BrokenSettles {
    archive: MemoryArchive,
    /// If true, `settle` hangs instead of returning an error.
    hang: bool,
    healed: Arc<AtomicBool>,
}

impl BrokenSettles {
    fn new(archive: &MemoryArchive, hang: bool) -> Self {
        Self { archive: archive.clone(), hang, healed: Arc::default() }
    }

    fn heal(&self) {
        self.healed.store(true, Ordering::SeqCst);
    }
}

impl Overrides for BrokenSettles {
    fn inner(&self) -> &dyn Archive {
        &self.archive
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        match (self.healed.load(Ordering::SeqCst), self.hang) {
            (true, _) => self.archive.settle(lease, outcome, retry_in),
            (false, true) => Box::pin(pending()),
            (false, false) => Box::pin(ready(Err(ArchiveError::Closed))),
        }
    }
}

/// An inbox with one delivery whose handler has run and whose outcome is not recorded.
async fn with_unrecorded_outcome(broken: &BrokenSettles) -> Inbox {
    let script = Script::new(|_| Reply::Status(200));
    let inbox = inbox(Overridden(broken.clone()));
    inbox.start_workers(script.service()).unwrap();
    let answer = send(inbox.layer().layer(script.service()), signed(caption("1"))).await;
    assert_eq!(answer.status, 200);
    inbox
}

#[tokio::test(start_paused = true)]
async fn shutdown_records_outcomes_waiting_in_backoff_once_the_disk_has_recovered() {
    let archive = memory();
    let broken = BrokenSettles::new(&archive, false);
    let inbox = with_unrecorded_outcome(&broken).await;
    // After failures at 0, 1 and 6 s, recording is next attempted after 31 s.
    tokio::time::sleep(8 * SECOND).await;
    broken.heal();
    let began = Instant::now();
    inbox.shutdown(20 * SECOND).await;
    assert_eq!(processed(&only_state(&archive).await), Some(200));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn shutdown_records_an_outcome_when_the_disk_recovers_before_its_deadline() {
    let archive = memory();
    let broken = BrokenSettles::new(&archive, false);
    let inbox = with_unrecorded_outcome(&broken).await;
    tokio::time::sleep(8 * SECOND).await;
    let began = Instant::now();
    let healing = async {
        tokio::time::sleep(10 * SECOND).await;
        broken.heal();
    };
    tokio::join!(inbox.shutdown(20 * SECOND), healing);
    assert_eq!(processed(&only_state(&archive).await), Some(200));
    assert!(began.elapsed() <= 11 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_at_its_deadline_if_outcomes_cannot_be_recorded() {
    for hang in [false, true] {
        let archive = memory();
        let inbox = with_unrecorded_outcome(&BrokenSettles::new(&archive, hang)).await;
        let began = Instant::now();
        inbox.shutdown(20 * SECOND).await;
        assert!(began.elapsed() <= 20 * SECOND, "hang: {hang}, {:?}", began.elapsed());
        // The lease is released before the process ends; otherwise it would count as a crash.
        assert_eq!(only_state(&archive).await, State::NEW, "hang: {hang}");
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_stops_an_inline_handler_and_requeues_its_delivery() {
    let (archive, script) = (memory(), Script::new(|_| Reply::Never));
    let inbox = inbox(archive.clone());
    let waiting = tokio::spawn(send(inbox.layer().layer(script.service()), signed(caption("1"))));
    while script.runs().is_empty() {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    inbox.shutdown(20 * SECOND).await;
    assert!(began.elapsed() <= 20 * SECOND, "{:?}", began.elapsed());
    let answer = timeout(LONGEST, waiting).await.unwrap().unwrap();
    assert_eq!(answer.status, 503);
    assert!(matches!(answer.rejection, Some(Rejection::Stopping)), "{answer:?}");
    assert_eq!(only_state(&archive).await, State::NEW);

    let late = send(inbox.layer().layer(script.service()), signed(caption("2"))).await;
    assert_eq!((late.status, script.runs().len()), (StatusCode::SERVICE_UNAVAILABLE, 1));
}

/// The handler occupies a worker thread of tokio, for example with blocking I/O.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_requeues_the_delivery_of_a_handler_that_blocks_its_thread() {
    let archive = memory();
    let inbox = inbox(archive.clone());
    let (unblock, blocked) = mpsc::channel::<()>();
    let (entered, mut has_entered) = tokio::sync::mpsc::unbounded_channel();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let handler = service_fn(move |_: Request<InboxBody<Full<Bytes>>>| {
        entered.send(()).unwrap();
        let _ = blocked.lock().unwrap().recv_timeout(LONGEST);
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let running = tokio::spawn(send(inbox.layer().layer(handler), signed(caption("1"))));
    has_entered.recv().await.unwrap();
    timeout(LONGEST, inbox.shutdown(SECOND)).await.unwrap();
    assert_eq!(only_state(&archive).await, State::NEW);
    unblock.send(()).unwrap();
    running.await.unwrap();
}

const BODY: &str = r#"{"job": "1", "text": "a cat"}"#;

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_a_body_that_is_being_read() {
    let archive = memory();
    let inbox = inbox(archive.clone());
    let (sender, body) = parts();
    let (first, rest) = BODY.as_bytes().split_at(5);
    let request = Request::post(CAPTIONS).header(SIGNATURE, sign(BODY.as_bytes())).body(body);
    let service = inbox.layer().layer(handler(&Seen::default()));
    let waiting = tokio::spawn(send(service, request.unwrap()));
    sender.send(first).unwrap();
    while inbox.bytes_in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let sending = async {
        tokio::time::sleep(5 * SECOND).await;
        sender.send(rest).unwrap();
        drop(sender);
    };
    let shutting_down = async {
        inbox.shutdown(20 * SECOND).await;
        began.elapsed()
    };
    let (took, ()) = tokio::join!(shutting_down, sending);
    assert_eq!(took, 5 * SECOND);
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(processed(&only_state(&archive).await), Some(200));
}

/// Sends the first bytes of a request and keeps the connection open.
async fn begin(address: &str, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn read_response(stream: &mut TcpStream) -> String {
    let mut response = [0; 1024];
    let length = timeout(LONGEST, stream.read(&mut response)).await.unwrap().unwrap();
    String::from_utf8(response[..length].to_vec()).unwrap()
}

fn post(path: &str, signature: &str) -> String {
    let length = BODY.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\n{SIGNATURE}: {signature}\r\ncontent-length: {length}\r\n\r\n{BODY}"
    )
}

/// The order in the README: signal, inbox, server.
#[tokio::test]
async fn readme_server_shuts_down_with_stuck_clients_and_handlers() {
    let archive = memory();
    let inbox = inbox(archive.clone());
    let handler = || async {
        pending::<()>().await;
    };
    let routes = Router::new().route(CAPTIONS, axum::routing::post(handler));
    inbox.start_workers::<axum::body::Body>(routes.clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = axum::serve(listener, routes.layer(inbox.layer()))
        .with_graceful_shutdown(inbox.shutdown_started());
    let server = tokio::spawn(server.into_future());

    let whole = post(CAPTIONS, &sign(BODY.as_bytes()));
    let half_a_body = post(CAPTIONS, &sign(b"another body"));
    let _nothing = begin(&address, "").await;
    let _half_a_head = begin(&address, &whole[..20]).await;
    let _half_a_body = begin(&address, &half_a_body[..half_a_body.len() - 5]).await;
    let mut idle = begin(&address, "GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(read_response(&mut idle).await.starts_with("HTTP/1.1 404"));
    let mut running = begin(&address, &whole).await;
    while archived(&archive).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    timeout(LONGEST, inbox.shutdown(SECOND)).await.unwrap();
    let last_responses = timeout(SECOND, server).await;
    assert!(last_responses.is_err(), "the server alone would wait for the half head for ever");
    assert!(read_response(&mut running).await.starts_with("HTTP/1.1 503"));
    assert_eq!(read_response(&mut idle).await, "", "idle connections are closed");
    assert_eq!(only_state(&archive).await, State::NEW);
}

#[tokio::test]
async fn receiver_ends_in_time_after_sigterm_with_half_sent_requests() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(directory.path(), &["--slow", "600000"]);
    let whole = raw_post(EXTRACTED, "keep-alive");
    let address = receiver.address().to_owned();
    let _nothing = begin(&address, "").await;
    let _half_a_head = begin(&address, &whole[..whole.find("content-length").unwrap()]).await;
    let _half_a_body = begin(&address, &whole[..whole.len() - 5]).await;
    let mut running = begin(&address, &whole).await;
    // The delivery is archived before the handler runs.
    tokio::time::sleep(SECOND / 2).await;
    receiver.terminate();
    let ended = timeout(SHUTDOWN_LIMIT, receiver.ended()).await;
    assert!(ended.unwrap().success());
    assert!(read_response(&mut running).await.starts_with("HTTP/1.1 202"), "after 8 s");
    let archive = DiskArchive::open(directory.path()).await.unwrap();
    assert_eq!(only_state(&archive).await, State::NEW, "neither an attempt nor a crash");
}
