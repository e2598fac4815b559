//! `inbox page`: serves the web page of an archive on this machine.

mod snapshot;

use std::{
    env,
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower_inbox::{
    Archive, Inbox, Secret,
    page::{Guard, PageService},
};

use self::snapshot::Snapshot;
use crate::{CommandResult, Failure, cli::after_help, location::Location};

/// The user of the page.
const USER: &str = "inbox";

/// The variable with the password.
const PASSWORD: &str = "INBOX_PAGE_PASSWORD";

/// Serve a web page to look into the archive, to retry and to erase deliveries
///
/// The page is served on this machine only, until the command is interrupted. It asks for the user `inbox` and the
/// password in `INBOX_PAGE_PASSWORD`; without one, a random password is printed. It has no models and no handlers:
/// deliveries cannot be replayed or released. If a server has the archive open, it is sent what the page changes.
///
/// For a page of the server itself, see the feature `page` of the library.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox page
  inbox page --archive /var/lib/inbox/archive --listen 127.0.0.1:8080

"))]
pub(crate) struct PageArgs {
    /// The address to listen on: a loopback address; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "use an IP address and a port, such as 127.0.0.1:8080")?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("the page is served on this machine only; use 127.0.0.1 or [::1], and a tunnel from other machines".into())
}

pub(crate) async fn run(args: PageArgs, at: Location) -> CommandResult {
    let archive: Arc<dyn Archive> = match &at {
        Location::Directory(path) => Arc::new(Snapshot::open(path).await?),
        #[cfg(feature = "postgres")]
        Location::Database(_) => crate::location::open(&at).await?,
    };
    let inbox = Inbox::builder(archive).build()?;
    let (password, is_random) = password()?;
    let page = inbox.page(Guard::basic(USER, Secret::new(&password))?);
    let listener = TcpListener::bind(args.listen).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    if is_random {
        writeln!(out, "user {USER}, password {password}")?;
    }
    out.flush()?;
    drop(out);
    serve(&listener, &page).await
}

/// The password, and whether it was made up.
fn password() -> Result<(String, bool), Failure> {
    match env::var(PASSWORD) {
        Ok(password) if !password.is_empty() => Ok((password, false)),
        Ok(_) => Err(Failure::usage(format!("{PASSWORD} is empty; set a password, or unset it"))),
        Err(env::VarError::NotPresent) => Ok((uuid::Uuid::new_v4().simple().to_string(), true)),
        Err(env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("{PASSWORD} is not Unicode")))
        }
    }
}

/// Serves until the process is interrupted, which needs no care: the page changes nothing by itself.
async fn serve(listener: &TcpListener, page: &PageService) -> Result<ExitCode, Box<dyn Error>> {
    loop {
        let (socket, _) = listener.accept().await?;
        let page = TowerToHyperService::new(page.clone());
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            let connection =
                server.timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), page);
            // Browsers may close a connection at any time: that is no error of the command.
            drop(connection.await);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_accepted() {
        for address in ["127.0.0.1:0", "127.8.0.1:80", "[::1]:8080"] {
            assert!(loopback(address).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:80", "192.0.2.1:80", "[::]:80", "localhost:80", "127.0.0.1"] {
            assert!(loopback(address).is_err(), "{address}");
        }
    }
}
