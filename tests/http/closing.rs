//! Senders that close the connection before the response, as some PHP scripts do.

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::server::{Kind, Server, delivery, read_all};

pub(crate) const DELIVERIES: usize = 50;

/// How a sender behaves after it has written the request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// Closes its half of the connection and waits for the response.
    ShutdownWrite,
    Close,
    /// Closes the connection with a reset, as the operating system does if data was not read.
    #[allow(
        dead_code,
        reason = "only the benchmark does: a reset may discard what was not read yet"
    )]
    Reset,
}

/// Returns the number of archived deliveries, and the number of 200 responses.
pub(crate) async fn archived_and_answered(
    kind: Kind,
    ending: Ending,
    padding: usize,
) -> (usize, usize) {
    let server = Server::start(kind).await;
    let mut answered = 0;
    for n in 0..DELIVERIES {
        let mut stream = server.connect().await;
        stream.write_all(delivery(n, padding).as_bytes()).await.unwrap();
        answered += usize::from(end(stream, ending).await);
    }
    (server.archived_in_the_end(DELIVERIES).await, answered)
}

/// Returns true if the sender gets a 200.
async fn end(mut stream: TcpStream, ending: Ending) -> bool {
    match ending {
        Ending::ShutdownWrite => {
            stream.shutdown().await.unwrap();
            return read_all(&mut stream).await.starts_with("HTTP/1.1 200");
        }
        Ending::Close => {}
        Ending::Reset => stream.set_zero_linger().unwrap(),
    }
    false
}

/// With `axum::serve`, or without `half_close`, about half of such deliveries never reach the layers; see
/// `docs/http.md`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_close_archives_every_delivery_of_a_sender_that_closes_at_once() {
    for padding in [0, 100_000] {
        for ending in [Ending::ShutdownWrite, Ending::Close] {
            let (archived, answered) =
                archived_and_answered(Kind::HalfClose, ending, padding).await;
            assert_eq!(archived, DELIVERIES, "{ending:?}");
            let waiting = matches!(ending, Ending::ShutdownWrite);
            assert_eq!(answered, if waiting { DELIVERIES } else { 0 }, "{ending:?}");
        }
    }
}
