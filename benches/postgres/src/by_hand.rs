//! What a handler does without this crate: it takes a connection from a pool, and inserts the body and a row with a
//! unique fingerprint by one statement, which is a transaction.

use bytes::Bytes;
use deadpool_postgres::{Config, ManagerConfig, Pool, PoolConfig, RecyclingMethod, Runtime};
use sha2::{Digest, Sha256};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct ByHand(Pool);

const TABLES: &str = "
    DROP SCHEMA IF EXISTS by_hand CASCADE;
    CREATE SCHEMA by_hand;
    CREATE TABLE by_hand.ledger (
        id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now(), model text NOT NULL,
        state text NOT NULL DEFAULT 'pending', fingerprint bytea NOT NULL UNIQUE
    );
    CREATE TABLE by_hand.bodies (id uuid PRIMARY KEY, head text NOT NULL, body bytea NOT NULL);
    ALTER TABLE by_hand.bodies ALTER COLUMN body SET COMPRESSION lz4;";

const INSERT: &str = "
    WITH fresh AS (
        INSERT INTO by_hand.ledger (id, model, fingerprint) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id
    ) INSERT INTO by_hand.bodies SELECT id, $4, $5 FROM fresh";

const HEAD: &str = "POST /hooks/invoices HTTP/1.1\r\nhost: inbox.example.com\r\ncontent-type: application/json\r\n\
    content-length: 24000\r\nuser-agent: python-requests/2.32.3\r\n\
    x-signature: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";

impl ByHand {
    pub(crate) async fn open(url: &str, connections: usize, client: &Client) -> Self {
        client.batch_execute(TABLES).await.unwrap();
        let config = Config {
            url: Some(url.to_owned()),
            manager: Some(ManagerConfig { recycling_method: RecyclingMethod::Fast }),
            pool: Some(PoolConfig::new(connections)),
            ..Config::default()
        };
        Self(config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap())
    }

    pub(crate) async fn append(self, body: Bytes) {
        let fingerprint = Sha256::digest(&body).to_vec();
        let client = self.0.get().await.unwrap();
        let statement = client.prepare_cached(INSERT).await.unwrap();
        let id = Uuid::now_v7();
        let stored = client
            .execute(&statement, &[&id, &crate::load::MODEL, &fingerprint, &HEAD, &&body[..]])
            .await
            .unwrap();
        assert_eq!(stored, 1);
    }
}
