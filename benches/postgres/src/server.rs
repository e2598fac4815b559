//! A PostgreSQL server in a directory of its own.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use tokio_postgres::{Client, NoTls};

/// Stops, and removes its directory, when the process ends in any way.
pub(crate) struct Server {
    pub(crate) url: String,
    /// The id of its first process.
    pub(crate) postmaster: u32,
    shell: Child,
    stdin: Option<ChildStdin>,
}

/// Few checkpoints: after one, the server writes full pages to its log, whose number depends on the time.
const SETTINGS: &str = "synchronous_commit = on\nmax_connections = 200\nshared_buffers = '256MB'\n\
    max_wal_size = '1GB'\ncheckpoint_timeout = '1h'\nlc_messages = 'C'\n\
    shared_preload_libraries = 'pg_stat_statements'\n";

impl Server {
    /// The lines of `settings` have precedence over the others.
    pub(crate) fn start(parent: &Path, flush_micros: u32, settings: &str) -> Self {
        let directory =
            tempfile::Builder::new().prefix("inbox-pg").tempdir_in(parent).unwrap().keep();
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&directory).status().unwrap();
            assert!(owned.success());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The shell waits on its input, which closes when this process ends.
        let script = format!(
            "set -e; cd {dir}; {bin}/initdb -D data -A trust -E UTF8 --locale=C -U postgres >init.log; \
             printf '%s\\n' \"$0\" >>data/postgresql.conf; \
             {bin}/pg_ctl -D data -l log -w start >&2; echo ready; cat >/dev/null; \
             {bin}/pg_ctl -D data -m immediate stop >&2; rm -rf {dir}",
            dir = directory.display(),
            bin = binaries().display(),
        );
        let settings = format!(
            "commit_delay = {flush_micros}\ncommit_siblings = 0\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n{SETTINGS}{settings}",
            directory.display()
        );
        let mut command = Command::new("/bin/sh");
        if is_root() {
            // The server refuses to run as root.
            command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "/bin/sh"]);
        }
        command.args(["-c", &script, &settings]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the server did not start; see {}/log", directory.display());
        let stdin = shell.stdin.take();
        let pid = std::fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
        let postmaster = pid.lines().next().unwrap().parse().unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Self { url, postmaster, shell, stdin }
    }

    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.shell.wait();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

fn binaries() -> PathBuf {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .unwrap()
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|path| path.join("postgres").exists())
        .collect();
    versions.sort();
    versions.pop().unwrap()
}

/// What the server has written.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    pub(crate) transactions: f64,
    pub(crate) wal_bytes: f64,
}

impl Written {
    pub(crate) async fn now(client: &Client) -> Self {
        let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::float8, \
                   (pg_current_wal_insert_lsn() - '0/0')::float8";
        let row = client.query_one(sql, &[]).await.unwrap();
        Self { transactions: row.get(0), wal_bytes: row.get(1) }
    }

    pub(crate) async fn since(self, client: &Client, deliveries: usize) -> Self {
        let (now, deliveries) = (Self::now(client).await, deliveries.max(1) as f64);
        Self {
            transactions: (now.transactions - self.transactions) / deliveries,
            wal_bytes: (now.wal_bytes - self.wal_bytes) / deliveries,
        }
    }
}
