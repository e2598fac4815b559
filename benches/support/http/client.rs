use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What one run of a server was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Answers per second.
    pub(crate) rate: f64,
    /// How long one waits for an answer, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// How long the server's threads worked for an answer, in microseconds.
    pub(crate) cpu: f64,
}

/// Sends each request once over `connections` connections. Each connection waits for a response before its next request.
pub(crate) async fn send_all(
    to: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    connections: usize,
) -> Run {
    let next = Arc::new(AtomicUsize::new(0));
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push(stream);
    }
    let began = Instant::now();
    let clients: Vec<_> = streams
        .into_iter()
        .map(|stream| tokio::spawn(client(stream, Arc::clone(requests), Arc::clone(&next))))
        .collect();
    let mut waits = Vec::with_capacity(requests.len());
    for client in clients {
        waits.extend(client.await.unwrap().iter().map(|wait| wait.as_secs_f64() * 1e6));
    }
    let rate = waits.len() as f64 / began.elapsed().as_secs_f64();
    let p50 = crate::support::stats::quantile(&mut waits, 0.5);
    Run { rate, p50, p99: crate::support::stats::quantile(&mut waits, 0.99), cpu: 0.0 }
}

async fn client(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> Vec<Duration> {
    let mut waits = Vec::new();
    let mut answer = vec![0; 4096];
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let sent = Instant::now();
        stream.write_all(request).await.unwrap();
        read_answer(&mut stream, &mut answer).await;
        waits.push(sent.elapsed());
    }
    waits
}

/// Every handler answers 2xx without a body.
async fn read_answer(stream: &mut TcpStream, answer: &mut [u8]) {
    let mut length = 0;
    while !answer[..length].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut answer[length..]).await.unwrap();
        assert!(read > 0, "the server closed a connection");
        length += read;
    }
    assert!(answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(&answer[..length]));
}
