//! `--listen`: the address of a served API.

use std::{
    error::Error,
    io::{self, Write},
    net::SocketAddr,
};

use tokio::net::TcpListener;

/// Listens on an address, and prints it, so that scripts learn the port.
pub(super) async fn listener(address: SocketAddr) -> Result<TcpListener, Box<dyn Error>> {
    let unbound = |error| format!("cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(unbound)?;
    let mut out = io::stdout();
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    out.flush()?;
    Ok(listener)
}
