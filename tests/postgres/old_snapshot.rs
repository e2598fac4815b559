//! Claims while a transaction holds an old snapshot, for which deleted and updated rows have to stay.

use std::time::Duration;

use tower_inbox::{
    Archive, Outcome,
    archive::{Append, Claim},
    testing::Sample,
};

use super::support::server;

const PROCESSED: i64 = 600;

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn claim_with_a_start_does_not_read_entries_of_what_was_claimed_before() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let mut client = schema.client().await;
    let holder = schema.client().await;
    let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM work";
    holder.batch_execute(hold).await.unwrap();

    let model: tower_inbox::delivery::ModelName = "/hooks/many".parse().unwrap();
    for round in 0..PROCESSED / 100 {
        let appends = (0..100).map(|place| {
            let body = format!("{round} {place}");
            archive.append(Append::new(Sample::of(model.as_str()).body(body).delivery()))
        });
        futures_util::future::join_all(appends).await.into_iter().for_each(|appended| {
            assert!(appended.unwrap().lease.is_none());
        });
        let claimed = archive.claim(Claim::new(vec![(model.clone(), 100)], 100)).await.unwrap();
        assert_eq!(claimed.leases.len(), 100);
        for (_, lease) in claimed.leases {
            archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
        }
    }

    let now: i64 = client.query_one("SELECT to_us(clock())", &[]).await.unwrap().get(0);
    let mut read = async |since: Option<i64>| -> i64 {
        let transaction = client.transaction().await.unwrap();
        // Includes earlier transactions of the session that were not reported yet.
        let counted = "SELECT sum(pg_stat_get_xact_tuples_returned(i::regclass))::bigint \
            FROM unnest(ARRAY['work_ready', 'work_leased']) AS i";
        let before: i64 = transaction.query_one(counted, &[]).await.unwrap().get(0);
        let claim = "SELECT claim(ARRAY['/hooks/many'], ARRAY[100], ARRAY[$1::bigint], 100, 1, $1, 60000000)";
        transaction.query(claim, &[&since]).await.unwrap();
        transaction.query_one(counted, &[]).await.unwrap().get::<_, i64>(0) - before
    };
    let (all, since) = (read(None).await, read(Some(now)).await);
    assert!(all >= PROCESSED, "the test needs entries of rows that are not visible: {all}");
    assert!(since < 10, "{since} entries read, {all} from the beginning");
    holder.batch_execute("COMMIT").await.unwrap();
    schema.drop().await;
}
