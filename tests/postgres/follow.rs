//! New entries of the ledger, which become visible in another order than they were appended in.

use std::{collections::HashSet, time::Duration};

use tower_inbox::{
    Archive, DeliveryId,
    archive::{Append, PostgresArchive, Query},
    testing::Sample,
};
use uuid::Uuid;

use super::support::{Schema, server};

async fn put(archive: &PostgresArchive, body: &str) -> DeliveryId {
    let delivery = Sample::of("/hooks/follow").body(body.to_owned()).delivery();
    archive.append(Append::new(delivery)).await.unwrap().receipt.id()
}

/// Appends in a transaction that is not committed yet. Repeats of it wait for its end.
async fn append_open(schema: &Schema, id: DeliveryId) -> tokio_postgres::Client {
    let client = schema.client().await;
    let (id, fingerprint) = (Uuid::from_bytes(*id.as_bytes()), fastrand::u64(..));
    let zeros = "0".repeat(48);
    let statements = format!(
        "BEGIN; SELECT append(ARRAY['{id}'::uuid], ARRAY['\\x{fingerprint:016x}{zeros}'::bytea], ARRAY['/hooks/follow'],
            ARRAY[7], ARRAY['\\x{fingerprint:016x}{zeros}'::bytea], ARRAY['\\x'::bytea], ARRAY['\\x'::bytea],
            ARRAY[NULL::uuid], ARRAY[0::bigint], false)"
    );
    client.batch_execute(&statements).await.unwrap();
    client
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn delivery_that_is_committed_after_a_later_one_is_followed_once() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    put(&archive, "before").await;
    let [early, late, ended] = [(); 3].map(|()| DeliveryId::new());
    let early_client = append_open(&schema, early).await;
    let mut follower = archive.follow().await.unwrap();
    let mut next = async || -> Vec<DeliveryId> {
        follower.next().await.unwrap().into_iter().map(|entry| entry.id).collect()
    };
    assert_eq!(next().await, []);
    let first = put(&archive, "first").await;
    let late_client = append_open(&schema, late).await;
    let second = put(&archive, "second").await;
    assert_eq!(next().await, [first, second]);
    assert_eq!(next().await, []);
    early_client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(next().await, [early], "it was open when the follower started");
    // Other transactions go on, so that at no time there is none.
    let other_client = append_open(&schema, ended).await;
    assert_eq!(next().await, []);
    let third = put(&archive, "third").await;
    late_client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(next().await, [late, third]);
    other_client.batch_execute("ROLLBACK").await.unwrap();
    let fourth = put(&archive, "fourth").await;
    assert_eq!(next().await, [fourth]);
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn every_delivery_of_several_nodes_is_followed_once() {
    let server = server();
    let schema = server.schema();
    let nodes = [schema.open().await, schema.open().await, schema.open().await];
    let mut follower = nodes[0].follow().await.unwrap();
    let writers = nodes.iter().cloned().enumerate().map(|(node, archive)| {
        tokio::spawn(async move {
            for number in 0..300 {
                put(&archive, &format!("{node} {number}")).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut ids = Vec::new();
    while writers.iter().any(|writer| !writer.is_finished()) {
        ids.extend(follower.next().await.unwrap().into_iter().map(|entry| entry.id));
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..20))).await;
    }
    ids.extend(follower.next().await.unwrap().into_iter().map(|entry| entry.id));
    let all = nodes[0].latest(Query::all(), 1000).await.unwrap();
    assert_eq!((all.len(), ids.len()), (900, 900));
    assert_eq!(ids.into_iter().collect::<HashSet<_>>().len(), 900);
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn ids_of_ranges_are_found_in_append_order() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(put(&archive, &number.to_string()).await);
    }
    let found = archive.ledger_between(vec![ids[7]..=ids[9], ids[3]..=ids[3]]).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|entry| entry.id).collect();
    assert_eq!(found, [ids[3], ids[7], ids[8], ids[9]]);
    schema.drop().await;
}
