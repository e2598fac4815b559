//! Three nodes share one server, while processes and connections are killed, stopped and cancelled.

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tower_inbox::archive::PostgresArchive;

use super::{
    node::Node,
    results::Results,
    support::{Server, pgbouncer},
};

const NODES: u16 = 3;
/// Longer than a lease.
const STOPPED: Duration = Duration::from_millis(1400);

/// A fault of a node, of the server or of a connection.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    KillNode,
    KillServer,
    StopNode,
    Terminate,
    Cancel,
}

const TURN: [Fault; 8] = [
    Fault::KillNode,
    Fault::Terminate,
    Fault::StopNode,
    Fault::KillNode,
    Fault::KillServer,
    Fault::Cancel,
    Fault::KillNode,
    Fault::Terminate,
];

/// The server, and the URL by which nodes reach it.
struct Target<'a> {
    server: &'a Server,
    url: &'a str,
    /// The names of the connections of nodes at the server.
    connections: &'a str,
}

impl Fault {
    async fn inject(self, target: &Target<'_>, directory: &Path, nodes: &mut [Node]) {
        let node = &mut nodes[fastrand::usize(..usize::from(NODES))];
        match self {
            Self::KillNode => {
                node.kill();
                *node = Node::start(target.url, directory, node.number);
            }
            Self::StopNode => {
                node.signal("STOP");
                sleep(STOPPED).await;
                node.signal("CONT");
            }
            Self::KillServer => {
                target.server.kill().await;
                target.server.start_again();
            }
            Self::Terminate => signal_backends(target, "pg_terminate_backend", 3).await,
            Self::Cancel => {
                for _ in 0..20 {
                    signal_backends(target, "pg_cancel_backend", 8).await;
                }
            }
        }
    }

    fn is_kill(self) -> bool {
        !matches!(self, Self::StopNode | Self::Cancel)
    }
}

async fn signal_backends(target: &Target<'_>, function: &str, most: u32) {
    let sql = format!(
        "SELECT {function}(pid) FROM (SELECT pid FROM pg_stat_activity WHERE {} AND pid <> pg_backend_pid() \
         ORDER BY state <> 'active', random() LIMIT {most}) chosen",
        target.connections
    );
    target.server.client().await.query(&sql, &[]).await.unwrap();
}

/// Runs nodes under load with these turns of faults, and checks the results.
async fn survive(target: Target<'_>, turns: usize, title: &str) {
    let directory = tempfile::tempdir().unwrap();
    let archive = PostgresArchive::connect(&target.server.url).await.unwrap();
    let mut nodes: Vec<_> =
        (0..NODES).map(|number| Node::start(target.url, directory.path(), number)).collect();
    let began = Instant::now();
    sleep(Duration::from_secs(1)).await;
    for fault in std::iter::repeat_n(TURN, turns).flatten() {
        fault.inject(&target, directory.path(), &mut nodes).await;
        sleep(Duration::from_millis(fastrand::u64(50..300))).await;
    }
    sleep(Duration::from_secs(1)).await;
    let kills = turns * TURN.iter().filter(|fault| fault.is_kill()).count();
    let title = format!("{kills} kills {title} within {:?}", began.elapsed());
    let results = Results::check(&mut nodes, target.server, &archive, &title).await;
    let load = (results.acknowledged(), results.processed());
    assert!(load.0 > 200 && load.1 > 100, "there was a load: {load:?}");
}

fn is_long() -> bool {
    env::var("INBOX_LONG_TESTS").is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn killed_and_stopped_nodes_and_servers_lose_nothing_acknowledged() {
    let server = Server::start("");
    let connections = "application_name = 'tower-inbox'";
    let target = Target { server: &server, url: &server.url, connections };
    survive(target, if is_long() { 34 } else { 5 }, "directly").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn killed_and_stopped_nodes_and_servers_behind_pgbouncer_lose_nothing_acknowledged() {
    let server = Server::start("");
    let ((mut process, stdin), url) = pgbouncer(&server);
    // pgbouncer sets the name that the client has set.
    let connections = "backend_type = 'client backend'";
    let target = Target { server: &server, url: &url, connections };
    survive(target, if is_long() { 10 } else { 2 }, "over pgbouncer").await;
    drop(stdin);
    process.wait().unwrap();
}
