//! A proxy between a node and the server, as a link that can fail.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::support::Server;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Link {
    Up,
    /// Nothing is forwarded, and nothing is closed. What was sent meanwhile arrives when the link is up again.
    Stopped,
    /// What the server answers is discarded.
    WithoutAnswers,
}

/// Forwards connections to a server. Closes them when dropped.
pub(crate) struct Proxy {
    port: u16,
    link: watch::Sender<Link>,
    /// The number of times that all connections were closed.
    closed: watch::Sender<u64>,
}

impl Proxy {
    pub(crate) async fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (link, closed) = (watch::Sender::new(Link::Up), watch::Sender::new(0));
        let (link_of_new, closed_of_new) = (link.clone(), closed.subscribe());
        let address = format!("127.0.0.1:{}", server.port());
        tokio::spawn(async move {
            let mut dropped = closed_of_new.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    // The value never is this one: waits until the proxy is dropped.
                    _ = dropped.wait_for(|times| *times == u64::MAX) => return,
                };
                let (link, mut closed) = (link_of_new.subscribe(), closed_of_new.clone());
                closed.mark_unchanged();
                if let (Ok((client, _)), address) = (accepted, address.clone()) {
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = forward(client, &address, link) => {}
                            _ = closed.changed() => {}
                        }
                    });
                }
            }
        });
        Self { port, link, closed }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    pub(crate) fn restore(&self) {
        self.link.send_replace(Link::Up);
    }

    pub(crate) fn stop(&self) {
        self.link.send_replace(Link::Stopped);
    }

    pub(crate) fn drop_answers(&self) {
        self.link.send_replace(Link::WithoutAnswers);
    }

    /// Closes all connections.
    pub(crate) fn close(&self) {
        self.closed.send_modify(|times| *times += 1);
    }
}

async fn forward(
    client: TcpStream,
    address: &str,
    mut link: watch::Receiver<Link>,
) -> io::Result<()> {
    let _ = link.wait_for(|link| *link != Link::Stopped).await;
    let server = TcpStream::connect(address).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        result = pump(from_client, to_server, link.clone(), false) => result,
        result = pump(from_server, to_client, link, true) => result,
    }
}

/// Forwards one direction until it is closed.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut link: watch::Receiver<Link>,
    has_answers: bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let state = link.wait_for(|link| *link != Link::Stopped).await;
        let state = state.map_or(Link::Up, |state| *state);
        if !(has_answers && state == Link::WithoutAnswers) {
            to.write_all(&buffer[..length]).await?;
        }
    }
}
