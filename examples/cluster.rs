//! Three receivers with one PostgreSQL archive. Starts a server in a temporary directory, sends deliveries, kills a
//! receiver and the server, restarts both, and checks that every acknowledged delivery is archived byte for byte.
//! Run it with `cargo run --example cluster --features axum,postgres`. It needs the binaries of PostgreSQL.

use std::{
    collections::HashMap,
    error::Error,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpListener as StdListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::StatusCode, routing::post};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tower_inbox::{
    Archive, Inbox, Inference, Secret, Workers,
    archive::{PostgresArchive, Query},
    provider::mindee::{self, Extraction},
};

type Failed = Box<dyn Error + Send + Sync>;

const PATH: &str = "/hooks/invoices";
const SECRET: &str = "the signing secret of the endpoint";
const RECEIVERS: usize = 3;
const CLIENTS: usize = 12;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    // The example starts itself again for each receiver.
    match std::env::args().nth(1).as_deref() {
        Some("--receiver") => receive(&std::env::args().nth(2).unwrap_or_default()).await,
        _ => run().await,
    }
}

/// A receiver. Prints its address, and ends when its input is closed.
async fn receive(url: &str) -> Result<(), Failed> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let model = mindee::extraction::<mindee::Fields>().signed_with(Secret::new(SECRET));
    let inbox = Inbox::builder(PostgresArchive::connect(url).await?)
        .model(PATH, model)
        .background(Workers::new(8))
        .build()?;
    let handler = post(|_: Inference<Extraction>| async { StatusCode::OK });
    let handlers = Router::new().route(PATH, handler);
    inbox.start_workers::<Body>(handlers.clone())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, handlers.layer(inbox.layer())).await?;
    Ok(())
}

async fn run() -> Result<(), Failed> {
    let Some(binaries) = binaries() else {
        println!("install PostgreSQL, or add its binaries to the PATH");
        return Ok(());
    };
    let server = Server::start(binaries)?;
    println!("PostgreSQL: {}", server.url);
    // Creates the schema before the receivers open the archive.
    let archive = PostgresArchive::connect(&server.url).await?;
    let mut receivers = Vec::new();
    for _ in 0..RECEIVERS {
        receivers.push(Receiver::start(&server.url)?);
    }
    let load = Arc::new(Load::new(&receivers));
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(Arc::clone(&load).send())).collect();
    sleep(Duration::from_secs(3)).await;

    println!("kills receiver 0, with {} deliveries acknowledged", load.acknowledged().len());
    drop(receivers.swap_remove(0));
    sleep(Duration::from_secs(2)).await;
    let receiver = Receiver::start(&server.url)?;
    load.replace(0, &receiver);
    receivers.push(receiver);
    sleep(Duration::from_secs(1)).await;

    println!("kills the database, with {} deliveries acknowledged", load.acknowledged().len());
    server.control("stop")?;
    sleep(Duration::from_secs(2)).await;
    server.control("start")?;
    let (ready, before) = (Instant::now(), load.acknowledged().len());
    while load.acknowledged().len() == before && ready.elapsed() < Duration::from_secs(30) {
        sleep(Duration::from_millis(1)).await;
    }
    println!("the first 2xx came {:?} after the database was ready again", ready.elapsed());
    sleep(Duration::from_secs(2)).await;
    for client in clients {
        client.abort();
    }
    check(&archive, &load).await
}

/// Compares the archive with the acknowledged deliveries, and waits until they are processed.
async fn check(archive: &PostgresArchive, load: &Load) -> Result<(), Failed> {
    let acknowledged = load.acknowledged();
    let mut archived = HashMap::new();
    let mut entries = archive.scan(Query::all());
    while let Some(entry) = entries.next().await.transpose()? {
        archived.insert(entry.delivery.id().to_string(), entry.delivery.body().clone());
    }
    let lost = acknowledged.iter().filter(|(id, body)| archived.get(*id) != Some(*body)).count();
    println!(
        "{} deliveries acknowledged, {} rejected attempts",
        acknowledged.len(),
        load.rejected()
    );
    println!("{lost} of them lost or changed; {} archived", archived.len());
    println!(
        "waits until all are processed: leases of the killed receiver take up to 60 s to expire"
    );
    let processed = timeout(Duration::from_secs(120), async {
        while archive.scan(Query::all().unsettled()).next().await.is_some() {
            sleep(Duration::from_millis(200)).await;
        }
    });
    println!(
        "{}",
        if processed.await.is_ok() { "all are processed" } else { "some are unsettled" }
    );
    if lost == 0 { Ok(()) } else { Err("acknowledged deliveries were lost".into()) }
}

/// The process of a receiver. Killed when dropped.
struct Receiver {
    child: Child,
    address: String,
    _stdin: ChildStdin,
}

impl Receiver {
    fn start(url: &str) -> Result<Self, Failed> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--receiver", url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().ok_or("no input")?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned(), _stdin: stdin })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Clients that send deliveries to all receivers, and send each again until one acknowledges it.
struct Load {
    client: Client<HttpConnector, Full<Bytes>>,
    addresses: Mutex<Vec<String>>,
    next: AtomicUsize,
    rejected: AtomicUsize,
    acknowledged: Mutex<HashMap<String, Bytes>>,
}

impl Load {
    fn new(receivers: &[Receiver]) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            addresses: Mutex::new(receivers.iter().map(|r| r.address.clone()).collect()),
            next: AtomicUsize::new(0),
            rejected: AtomicUsize::new(0),
            acknowledged: Mutex::default(),
        }
    }

    fn replace(&self, number: usize, receiver: &Receiver) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = addresses.get_mut(number) {
            address.clone_from(&receiver.address);
        }
    }

    /// An address at random, as a load balancer would choose it.
    fn address(&self) -> Option<String> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.get(fastrand::usize(..addresses.len())).cloned()
    }

    fn acknowledged(&self) -> HashMap<String, Bytes> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn rejected(&self) -> usize {
        self.rejected.load(Ordering::Relaxed)
    }

    async fn send(self: Arc<Self>) {
        loop {
            let body = payload(self.next.fetch_add(1, Ordering::Relaxed));
            loop {
                if let Ok(Some(id)) = self.post(&body).await {
                    let acknowledged = self.acknowledged.lock();
                    acknowledged.unwrap_or_else(PoisonError::into_inner).insert(id, body);
                    break;
                }
                self.rejected.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Returns the id of the delivery if the receiver acknowledged it.
    async fn post(&self, body: &Bytes) -> Result<Option<String>, Failed> {
        let address = self.address().ok_or("no receiver")?;
        let signature = mindee::signature(Secret::new(SECRET)).sign(body).unwrap_or_default();
        let request = http::Request::post(format!("http://{address}{PATH}"))
            .header("x-signature", signature)
            .body(Full::from(body.clone()))?;
        let response = timeout(Duration::from_secs(10), self.client.request(request)).await??;
        let id =
            response.headers().get("inbox-delivery-id").filter(|_| response.status().is_success());
        Ok(id.and_then(|id| id.to_str().ok()).map(str::to_owned))
    }
}

fn payload(number: usize) -> Bytes {
    let text = format!(
        r#"{{"inference": {{"id": "inference-{number}", "model": {{"id": "invoices"}}, "result": {{"fields": {{
            "total_amount": {{"value": {number}, "confidence": "High"}}}}}},
            "file": {{"name": "a.pdf", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
    );
    text.into()
}

/// A PostgreSQL server in a temporary directory. Stops when dropped, or when the process ends in any way.
struct Server {
    url: String,
    directory: PathBuf,
    binaries: PathBuf,
    shell: Child,
    stdin: Option<ChildStdin>,
}

impl Server {
    fn start(binaries: PathBuf) -> Result<Self, Failed> {
        let directory = tempfile::Builder::new().prefix("cluster").tempdir()?.keep();
        if is_root() {
            Command::new("chown").arg("postgres").arg(&directory).status()?;
        }
        let port = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let (dir, bin) = (directory.display(), binaries.display());
        // The shell waits on its input, which closes when this process ends.
        let script = format!(
            "set -e; cd {dir}; {bin}/initdb -D data -A trust -E UTF8 -U postgres >init.log; \
             printf \"port = {port}\\nlisten_addresses = '127.0.0.1'\\nunix_socket_directories = '{dir}'\\n\" \
             >>data/postgresql.conf; {bin}/pg_ctl -D data -l log -w start >&2; echo ready; cat >/dev/null; \
             {bin}/pg_ctl -D data -m immediate stop >&2; rm -rf {dir}"
        );
        let mut command = as_postgres(Path::new("/bin/sh"));
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(shell.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        if line != "ready\n" {
            return Err(format!("the server did not start; see {dir}").into());
        }
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let stdin = shell.stdin.take();
        Ok(Self { url, directory, binaries, shell, stdin })
    }

    /// Stops the server as a crash does, or starts it again.
    fn control(&self, action: &str) -> Result<(), Failed> {
        let mut command = as_postgres(&self.binaries.join("pg_ctl"));
        command
            .arg("-D")
            .arg(self.directory.join("data"))
            .arg("-l")
            .arg(self.directory.join("log"));
        command.args(["-w", action]).stdout(Stdio::null());
        if action == "stop" {
            command.args(["-m", "immediate"]);
        }
        if command.status()?.success() { Ok(()) } else { Err(format!("pg_ctl {action}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.shell.wait();
    }
}

/// The directory of `pg_ctl`: where Debian installs it, or one of the PATH.
fn binaries() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = installed.map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = versions.into_iter().rev().chain(std::env::split_paths(&path));
    all.find(|directory| directory.join("pg_ctl").exists() && directory.join("initdb").exists())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// A command as the user `postgres`, because the server refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}
