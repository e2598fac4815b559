//! The disks of the server are full: that of the tables, and that of its log.

use std::{
    error::Error,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use tokio::time::sleep;
use tower_inbox::{
    Archive, HealthReason, Inbox, Outcome,
    archive::{Append, ArchiveError, PostgresArchive, Query, WriteState},
    delivery::Delivery,
};

use super::{
    node::delivery,
    support::{Server, eventually, skip, spawn_until_ready},
};

const LEASE: Duration = Duration::from_secs(60);

/// A directory of the user `postgres` on a small file system. Unmounted when dropped, or when the process ends in any
/// way.
struct SmallDisk {
    directory: PathBuf,
    guard: Child,
}

impl SmallDisk {
    /// Mounts a file system of this size. None without the right to.
    fn mount(mebibytes: u32) -> Option<Self> {
        let mount = tempfile::Builder::new().prefix("inbox-disk").tempdir().unwrap().keep();
        // The shell waits on its input, which closes when this process ends.
        let script = "mount -t tmpfs -o \"$1\" tmpfs \"$0\" && mkdir \"$0/data\" && chown postgres \"$0/data\" && \
             chmod 700 \"$0/data\" && echo ready; cat >/dev/null; umount -l \"$0\"; rmdir \"$0\"";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).arg(&mount).arg(format!("size={mebibytes}m"));
        let guard = spawn_until_ready(&mut command)?;
        Some(Self { directory: mount.join("data"), guard })
    }

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn ballast(&self) -> PathBuf {
        self.directory.with_file_name("ballast")
    }

    /// Uses all free space.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.ballast()).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Appends deliveries until one is refused. Returns those that were acknowledged, and the error.
async fn append_until_refused(archive: &PostgresArchive) -> (Vec<Delivery>, ArchiveError) {
    let mut acknowledged = Vec::new();
    for key in 1..4000 {
        let delivery = delivery(key);
        match archive.append(Append::new(delivery.clone())).await {
            Ok(_) => acknowledged.push(delivery),
            Err(error) => return (acknowledged, error),
        }
    }
    panic!("the disk is not full after {} deliveries", acknowledged.len());
}

fn messages(error: &ArchiveError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Appends what was refused, and checks that the archive has everything once.
async fn check(archive: &PostgresArchive, acknowledged: &[Delivery]) {
    let refused = u64::try_from(acknowledged.len()).unwrap() + 1;
    let mut receipts = Vec::new();
    eventually("deliveries are acknowledged again", async || {
        receipts.extend(archive.append(Append::new(delivery(refused))).await);
        !receipts.is_empty()
    })
    .await;
    for delivery in acknowledged {
        let archived = archive.get(delivery.id()).await.unwrap().expect("an acknowledged delivery");
        assert_eq!(&archived.delivery, delivery);
    }
    let found = archive.latest(Query::all(), 9999).await.unwrap().len();
    // One for the delivery that was refused, and one that was appended before.
    assert_eq!(found, acknowledged.len() + 2);
}

/// Appends and settles a delivery, over the connections that exist from then on.
async fn settle_one(archive: &PostgresArchive, key: u64) -> Result<(), ArchiveError> {
    let append = Append::new(delivery(key)).leased_for(LEASE);
    let lease = archive.append(append).await?.lease.unwrap();
    archive.settle(lease, Outcome::processed(200), Duration::ZERO).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn full_disk_of_the_tables_refuses_appends_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(12) else { return skip(NOT_MOUNTED) };
    let server = Server::start("");
    let client = server.client().await;
    let create = format!("CREATE TABLESPACE small LOCATION '{}'", disk.directory().display());
    client.batch_execute(&create).await.unwrap();
    client.batch_execute("ALTER ROLE postgres SET default_tablespace = small").await.unwrap();
    let archive = PostgresArchive::connect(&server.url).await.unwrap();
    settle_one(&archive, 0).await.unwrap();

    disk.fill();
    let (acknowledged, error) = append_until_refused(&archive).await;
    assert!(matches!(error, ArchiveError::Unavailable(_)), "{error:?}");
    let text = messages(&error);
    assert!(text.contains("53100") && text.contains("No space left on device"), "{text}");
    let inbox = Inbox::builder(archive.clone()).build().unwrap();
    // Longer than the interval of the tests of the archive.
    for _ in 0..35 {
        let report = inbox.health().report().await;
        assert!(
            !report.is_ready() && report.reasons().contains(&HealthReason::NoSpace),
            "{report:?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
    for delivery in &acknowledged {
        let archived = archive.get(delivery.id()).await.unwrap().unwrap();
        assert_eq!(&archived.delivery, delivery, "reads do not need room");
    }
    disk.make_room();
    eventually("the inbox is ready without a delivery", async || {
        let report = inbox.health().report().await;
        report.is_ready() && report.reasons().is_empty()
    })
    .await;
    check(&archive, &acknowledged).await;
    settle_one(&archive, 5000).await.unwrap();
    assert_eq!(archive.health().await.unwrap().writes, Some(WriteState::Working));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn full_disk_of_the_log_ends_the_server_and_loses_nothing_acknowledged() {
    let Some(disk) = SmallDisk::mount(16) else { return skip(NOT_MOUNTED) };
    // Segments of the log that a checkpoint has made superfluous would be used again.
    let server = Server::start_with_log_in(disk.directory(), "wal_keep_size = '1GB'");
    let builder = PostgresArchive::builder(&server.url).statement_deadline(Duration::from_secs(2));
    let archive = builder.open().await.unwrap();
    settle_one(&archive, 0).await.unwrap();

    disk.fill();
    let (acknowledged, error) = append_until_refused(&archive).await;
    let is_temporary = matches!(error, ArchiveError::Unavailable(_) | ArchiveError::Unsure(_));
    assert!(is_temporary, "{error:?}");
    assert!(server.log().contains("PANIC"), "{}", server.log());
    disk.make_room();
    let refused = u64::try_from(acknowledged.len()).unwrap() + 1;
    eventually("the server has recovered", async || {
        // Without room, it may not have recovered from the panic.
        server.start_if_ended();
        archive.append(Append::new(delivery(refused))).await.is_ok()
    })
    .await;
    check(&archive, &acknowledged).await;
    settle_one(&archive, 5000).await.unwrap();
    assert_eq!(archive.health().await.unwrap().writes, Some(WriteState::Working));
}

const NOT_MOUNTED: &str = "a small file system can only be mounted as root";
