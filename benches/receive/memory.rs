//! The peak memory of a server that gets long bodies from many slow senders at a time.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tower_inbox::{
    DiskArchive, Inbox,
    provider::mindee::{self, Fields},
};

use crate::support::http::{
    extraction::extraction,
    options::Options,
    rounds::{PATH, scheme},
};

const CONNECTIONS: usize = 256;
const BODY: usize = 1 << 20;
const PARTS: usize = 16;
/// A half of what all bodies come to. Three eighths of it are for the unverified bodies of one model: the other senders are
/// refused.
const BUDGET: usize = CONNECTIONS * BODY / 2;
const BESIDES: usize = 64 << 20;

/// The server: says where it listens, and ends with its input.
pub(crate) fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let inbox = Inbox::builder(DiskArchive::open(&options.dir).await?)
            .model(PATH, mindee::extraction::<Fields>().verified_by(scheme()))
            .bytes_in_flight(BUDGET)
            .build()?;
        let app = axum::Router::new()
            .route(PATH, axum::routing::post(async || "kept"))
            .layer(inbox.layer());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, app).await });
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
        Ok(())
    })
}

pub(crate) fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&options.dir)?;
    let mut server = Command::new(std::env::current_exe()?)
        .args(["--memory-server", "--dir"])
        .arg(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let before = peak(&server)?;
    let answers = send_slowly(line.trim().parse()?);
    let after = peak(&server)?;
    drop(server.stdin.take());
    server.wait()?;
    let of = |status| answers.iter().filter(|answer| **answer == status).count();
    println!(
        "{CONNECTIONS} connections with {} MiB each, sent slowly; {} MiB in flight allowed\n\
         200: {}, 503: {}; peak memory {before} MiB before, {after} MiB after; {} MiB allowed: {}",
        BODY >> 20,
        BUDGET >> 20,
        of(200),
        of(503),
        (BUDGET + BESIDES) >> 20,
        if after <= (BUDGET + BESIDES) >> 20 { "within" } else { "OVER" },
    );
    Ok(())
}

/// In MiB.
fn peak(server: &Child) -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse::<usize>()? >> 10)
}

fn send_slowly(to: SocketAddr) -> Vec<u16> {
    let senders: Vec<_> = (0..CONNECTIONS).map(|n| thread::spawn(move || send(to, n))).collect();
    senders.into_iter().map(|sender| sender.join().unwrap()).collect()
}

/// The status of the answer; 503 also if the server closed the connection on a body that it did not take.
fn send(to: SocketAddr, n: usize) -> u16 {
    let body = extraction(n, BODY);
    let signature = scheme().sign(body.as_bytes()).unwrap();
    let mut stream = TcpStream::connect(to).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {PATH} HTTP/1.1\r\nhost: h\r\nx-signature: {signature}\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    for part in body.as_bytes().chunks(length.div_ceil(PARTS)) {
        thread::sleep(Duration::from_millis(100));
        if stream.write_all(part).is_err() {
            break;
        }
    }
    let mut line = String::new();
    let read = BufReader::new(stream).read_line(&mut line);
    read.ok().and_then(|_| line.get(9..12)?.parse().ok()).unwrap_or(503)
}
