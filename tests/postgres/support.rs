//! A PostgreSQL server for tests, and an archive in a schema of its own.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio_postgres::{Client, NoTls};
use tower_inbox::archive::{PostgresArchive, PostgresArchiveBuilder};

const VARIABLE: &str = "INBOX_TEST_POSTGRES";
/// The directory of the programs `initdb`, `pg_ctl` and `postgres`. Default: that of Debian's newest version.
const BINARIES: &str = "INBOX_TEST_POSTGRES_BIN";

/// A server that was started by the test. Stops when dropped, or when the process ends in any way.
pub(crate) struct Server {
    pub(crate) url: String,
    directory: Option<PathBuf>,
    _stop: Option<(Child, ChildStdin)>,
}

/// The server that all tests of this process share: that of the URL in the variable, or one that is started.
pub(crate) fn server() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| {
        let url = std::env::var(VARIABLE).expect("INBOX_TEST_POSTGRES is `start`, or a URL");
        match &*url {
            "start" => Server::start(""),
            _ => Server { url, directory: None, _stop: None },
        }
    })
}

fn binaries() -> PathBuf {
    if let Some(directory) = std::env::var_os(BINARIES) {
        return directory.into();
    }
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed as Debian does it")
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|path| path.join("postgres").exists())
        .collect();
    versions.sort();
    versions.pop().expect("a version of PostgreSQL")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

/// The command that creates a data directory.
fn initdb(options: &str) -> String {
    let program = binaries().join("initdb");
    format!("{} -D data -A trust -E UTF8 --locale=C -U postgres {options}", program.display())
}

/// Starts a process that reads its input to the end, and waits until it prints `ready`. None if it does not.
pub(crate) fn spawn_until_ready(command: &mut Command) -> Option<Child> {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let (mut child, mut line) = (command.spawn().unwrap(), String::new());
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (line == "ready\n").then_some(child)
}

/// Skips a test that needs a right of root, and prints so. Fails in CI.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "not possible in CI: {reason}");
    std::io::stderr().write_all(format!("skipped: {reason}\n").as_bytes()).unwrap();
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

fn run_as_postgres(script: &str, arguments: &[&Path]) {
    let mut command = as_postgres(Path::new("/bin/sh"));
    let status = command.args(["-e", "-c", script]).args(arguments).status();
    assert!(status.unwrap().success(), "{script}");
}

impl Server {
    /// Starts a server of the test's own, with these lines of configuration, for tests that configure or crash it.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::create(&initdb(""), configuration)
    }

    /// Starts a server of the test's own with its log in this directory, in segments of 1 MiB.
    pub(crate) fn start_with_log_in(directory: &Path, configuration: &str) -> Self {
        let options = format!("--wal-segsize=1 -X {}", directory.display());
        Self::create(&initdb(&options), configuration)
    }

    /// Starts a streaming standby of this server with this name. It is asynchronous until the server says otherwise.
    pub(crate) async fn standby(&self, name: &str) -> Self {
        let copy = self.directory().join(name);
        self.back_up(&copy).await;
        let configuration = format!(
            "cluster_name = '{name}'\nwal_retrieve_retry_interval = '100ms'\n\
             primary_conninfo = 'host=127.0.0.1 port={} user=postgres'",
            self.port()
        );
        Self::create(&format!("mv {} data", copy.display()), &configuration)
    }

    /// Makes a data directory for a standby. `pg_basebackup`, which does the same, is not in every package.
    async fn back_up(&self, copy: &Path) {
        let client = self.client().await;
        let version = "SELECT current_setting('server_version_num')::int";
        let version: i32 = client.query_one(version, &[]).await.unwrap().get(0);
        let (start, stop) = if version < 150_000 {
            ("pg_start_backup('standby', true, false)", "pg_stop_backup(false, false)")
        } else {
            ("pg_backup_start('standby', true)", "pg_backup_stop(false)")
        };
        client.batch_execute(&format!("SELECT {start}")).await.unwrap();
        // Fails for a file that the server removes meanwhile, which is of no consequence.
        let data = self.directory().join("data");
        run_as_postgres("cp -a \"$0\" \"$1\" || true; rm \"$1/postmaster.pid\"", &[&data, copy]);
        let stop = format!("SELECT labelfile FROM {stop}");
        let label: String = client.query_one(&stop, &[]).await.unwrap().get(0);
        let write = "printf %s \"$0\" >\"$1/backup_label\"; touch \"$1/standby.signal\"";
        run_as_postgres(write, &[Path::new(&label), copy]);
    }

    fn directory(&self) -> &Path {
        self.directory.as_ref().expect("a server that the test has started")
    }

    /// Creates the data directory `data` with these commands, and starts a server in it.
    fn create(create_data: &str, configuration: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("inbox-pg").tempdir().unwrap().keep();
        if is_root() {
            assert!(
                Command::new("chown").arg("postgres").arg(&directory).status().unwrap().success()
            );
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The shell waits on its input, which closes when this process ends.
        let script = format!(
            "set -e; cd {dir}; {create_data} >init.log; printf '%s\\n' \"$0\" >>data/postgresql.conf; \
             {bin}/pg_ctl -D data -l log -w start >&2; echo ready; cat >/dev/null; \
             {bin}/pg_ctl -D data -m immediate stop >&2 || true; cd /; rm -rf {dir}",
            dir = directory.display(),
            bin = binaries().display(),
        );
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n\
             max_connections = 100\nlc_messages = 'C'\n{configuration}",
            directory.display()
        );
        let mut child =
            spawn_until_ready(as_postgres(Path::new("/bin/sh")).args(["-c", &script, &settings]))
                .unwrap_or_else(|| {
                    panic!("the server did not start; see {}/log", directory.display())
                });
        let stdin = child.stdin.take().unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Self { url, directory: Some(directory), _stop: Some((child, stdin)) }
    }

    pub(crate) fn port(&self) -> &str {
        self.url.rsplit([':', '/']).nth(1).unwrap()
    }

    /// The URL of the one of these servers that accepts writes.
    pub(crate) fn url_of(servers: &[&Self]) -> String {
        let hosts: Vec<_> =
            servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        let hosts = hosts.join(",");
        format!("postgres://postgres@{hosts}/postgres?target_session_attrs=read-write")
    }

    /// Kills the postmaster, and waits until its other processes have ended.
    pub(crate) async fn kill(&self) {
        let children = self.kill_postmaster();
        eventually("the processes of the server have ended", async || {
            !children.iter().any(|child| Path::new("/proc").join(child.to_string()).exists())
        })
        .await;
    }

    /// Kills the postmaster, and returns its other processes.
    pub(crate) fn kill_postmaster(&self) -> Vec<u32> {
        let postmaster = self.postmaster();
        let others = children(postmaster);
        signal(postmaster, "KILL");
        others
    }

    fn postmaster(&self) -> u32 {
        let file = std::fs::read_to_string(self.directory().join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    /// Stops all processes of the server until the returned value is dropped. The system still accepts connections to it
    /// and acknowledges packets.
    pub(crate) fn hang(&self) -> Hang {
        let postmaster = self.postmaster();
        // Before the others, because it starts new ones.
        signal(postmaster, "STOP");
        let mut processes = children(postmaster);
        for process in &processes {
            signal(*process, "STOP");
        }
        processes.push(postmaster);
        Hang(processes)
    }

    /// Makes a standby accept writes.
    pub(crate) fn promote(&self) {
        self.control("promote", "immediate");
    }

    /// Stops the server as a crash does, and starts it again.
    pub(crate) fn crash_and_restart(&self) {
        self.control("stop", "immediate");
        self.control("start", "immediate");
    }

    pub(crate) fn stop(&self) {
        self.control("stop", "immediate");
    }

    pub(crate) fn start_again(&self) {
        self.control("start", "immediate");
    }

    fn control(&self, action: &str, mode: &str) {
        let mut command = as_postgres(&binaries().join("pg_ctl"));
        command
            .arg("-D")
            .arg(self.directory().join("data"))
            .arg("-l")
            .arg(self.directory().join("log"));
        let status = command.args(["-w", "-m", mode, action]).stdout(Stdio::null()).status();
        assert!(status.unwrap().success(), "pg_ctl {action}");
    }

    /// Starts the server if it has ended, for example because it could not recover.
    pub(crate) fn start_if_ended(&self) {
        let mut command = as_postgres(&binaries().join("pg_ctl"));
        command.arg("-D").arg(self.directory().join("data")).arg("status").stdout(Stdio::null());
        if !command.status().unwrap().success() {
            self.start_again();
        }
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory().join("log")).unwrap()
    }

    /// Accepts connections from this address.
    pub(crate) async fn accept_from(&self, address: &str) {
        let file = self.directory().join("data/pg_hba.conf");
        let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(format!("host all all {address}/32 trust\n").as_bytes()).unwrap();
        self.client().await.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    }

    /// A connection for the test's own statements.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A schema of the test's own.
    pub(crate) fn schema(&self) -> Schema {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        Schema { url: self.url.clone(), name }
    }
}

/// The processes of a server that hangs.
pub(crate) struct Hang(Vec<u32>);

impl Drop for Hang {
    fn drop(&mut self) {
        for process in &self.0 {
            signal(*process, "CONT");
        }
    }
}

fn children(process: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    children.unwrap().split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// A schema for one or more archives.
pub(crate) struct Schema {
    url: String,
    pub(crate) name: String,
}

impl Schema {
    #[cfg(feature = "cli")]
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn builder(&self) -> PostgresArchiveBuilder {
        PostgresArchive::builder(&self.url).schema(&self.name).maintenance_interval(None)
    }

    pub(crate) async fn open(&self) -> PostgresArchive {
        self.builder().open().await.unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("SET search_path = {}, pg_temp", self.name)).await.unwrap();
        client
    }

    pub(crate) async fn drop(self) {
        let client = self.client().await;
        client.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.name)).await.unwrap();
    }
}

pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.unwrap().success(), "kill -{name} {process}");
}

/// Waits until a condition holds, at most 20 s.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}");
}

/// Shares an archive between several owners.
pub(crate) fn shared(archive: impl tower_inbox::Archive) -> Arc<dyn tower_inbox::Archive> {
    Arc::new(archive)
}

/// Starts pgbouncer in transaction mode in front of a server, with fewer connections than an archive has. Returns
/// the process, which ends when its input is closed, and the URL.
pub(crate) fn pgbouncer(server: &Server) -> ((Child, ChildStdin), String) {
    let directory = server.directory();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server_port = server.port();
    let (users, file) = (directory.join("users.txt"), directory.join("pgbouncer.ini"));
    std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
    let configuration = format!(
        "[databases]\n* = host=127.0.0.1 port={server_port}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 3\n\
         server_login_retry = 1\n",
        users.display()
    );
    std::fs::write(&file, configuration).unwrap();
    let program = Path::new("/usr/sbin/pgbouncer");
    assert!(program.exists(), "install pgbouncer");
    let script = format!(
        "{} -q {} & process=$!; cat >/dev/null; kill $process",
        program.display(),
        file.display()
    );
    let mut command = as_postgres(Path::new("/bin/sh"));
    command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    ((child, stdin), format!("postgres://postgres@127.0.0.1:{port}/postgres"))
}
