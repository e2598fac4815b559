//! The history of a delivery: its times, its length, and its retention.

use std::time::{Duration, SystemTime};

use tokio_postgres::Client;
use tower_inbox::{
    Archive, DeliveryId, Outcome,
    archive::{Acquire, Append, MAX_HISTORY, PostgresArchive, Query},
    delivery::State,
    testing::Sample,
};

use super::{retention::in_days, support::server};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn settle(archive: &PostgresArchive, id: DeliveryId, outcome: Outcome) {
    let lease = archive.acquire(Acquire::new(id).reviving()).await.unwrap().lease.unwrap();
    archive.settle(lease, outcome, Duration::ZERO).await.unwrap();
}

async fn pending(archive: &PostgresArchive, body: &str) -> DeliveryId {
    let delivery = Sample::of("/hooks/history").body(body.to_owned()).delivery();
    archive.append(Append::new(delivery)).await.unwrap().receipt.id()
}

/// The number of states in the table.
async fn stored(client: &Client, id: DeliveryId) -> usize {
    let sql = format!("SELECT count(*) FROM history WHERE id = '{id}'");
    let row = client.query_one(&sql, &[]).await.unwrap();
    usize::try_from(row.get::<_, i64>(0)).unwrap()
}

async fn states(archive: &PostgresArchive, id: DeliveryId) -> Vec<State> {
    let history = archive.history(id).await.unwrap().unwrap();
    history.into_iter().map(|change| change.state).collect()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn history_has_the_times_of_the_database() {
    let schema = server().schema();
    let archive = schema.open().await;
    let id = pending(&archive, "body").await;
    in_days(&schema.client().await, 3).await;
    settle(&archive, id, Outcome::failed("503")).await;
    settle(&archive, id, Outcome::processed(200)).await;
    let history = archive.history(id).await.unwrap().unwrap();
    assert_eq!(history.len(), 2);
    for change in history {
        let ahead = change.at.duration_since(SystemTime::now()).unwrap();
        assert!((2 * DAY..=3 * DAY).contains(&ahead), "{ahead:?}");
    }
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn delivery_that_is_revived_again_and_again_keeps_its_latest_changes() {
    let schema = server().schema();
    let archive = schema.open().await;
    let (id, other) = (pending(&archive, "revived").await, pending(&archive, "other").await);
    settle(&archive, other, Outcome::dead("404")).await;
    let client = schema.client().await;
    for number in 0..MAX_HISTORY + 9 {
        settle(&archive, id, Outcome::dead(format!("revived {number}"))).await;
    }
    assert_eq!(stored(&client, id).await, MAX_HISTORY + 1, "trimmed by each revival");
    for number in 0..MAX_HISTORY {
        settle(&archive, id, Outcome::dead(format!("retried {number}"))).await;
        assert_eq!(archive.retry(Query::all().id(id)).await.unwrap(), 1);
    }
    let found = states(&archive, id).await;
    assert_eq!(found.len(), MAX_HISTORY);
    let last = Outcome::dead(format!("retried {}", MAX_HISTORY - 1)).into();
    assert_eq!(found[MAX_HISTORY - 2..], [last, State::NEW]);
    assert_eq!(stored(&client, id).await, MAX_HISTORY, "the others are deleted");
    assert_eq!(states(&archive, other).await, [Outcome::dead("404").into()]);
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn history_is_deleted_after_the_retention_of_bodies() {
    let schema = server().schema();
    let archive = schema.builder().retention(2 * DAY).open().await.unwrap();
    let client = schema.client().await;
    let id = pending(&archive, "dead").await;
    settle(&archive, id, Outcome::failed("503")).await;
    settle(&archive, id, Outcome::dead("404")).await;
    for days in [1, 2] {
        in_days(&client, days).await;
        archive.maintain_now().await.unwrap();
        assert_eq!(states(&archive, id).await.len(), 2, "it is not old enough");
    }
    in_days(&client, 3).await;
    archive.maintain_now().await.unwrap();
    assert_eq!(states(&archive, id).await, []);
    assert_eq!(archive.state(id).await.unwrap(), Some(Outcome::dead("404").into()), "kept");
    schema.drop().await;
}
