//! The archive, at the level of its contract.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio_postgres::Client;
use tower_inbox::{
    Archive, ModelName, Outcome,
    archive::{Append, Claim, Lease, PostgresArchive},
};

use crate::{
    load::{MODEL, delivery},
    options::Options,
};

#[derive(Clone)]
pub(crate) struct Ours {
    pub(crate) archive: PostgresArchive,
    wants: Arc<[(ModelName, usize)]>,
}

/// How many deliveries are claimed and handled at a time.
const AT_A_TIME: usize = 64;

impl Ours {
    /// An archive without deliveries.
    pub(crate) async fn open(url: &str, client: &Client, options: &Options) -> Self {
        client.batch_execute("DROP SCHEMA IF EXISTS inbox CASCADE").await.unwrap();
        let mut builder = PostgresArchive::builder(url).maintenance_interval(None);
        builder = builder.prepared_statements(options.prepared);
        if let Some(kilobytes) = options.batch_kb {
            builder = builder.batch_size(256, kilobytes * 1000);
        }
        if let Some(connections) = options.connections {
            builder = builder.connections(connections);
        }
        let wants = [(MODEL.parse().unwrap(), AT_A_TIME)].into();
        let archive = builder.open().await.unwrap();
        // Frees the space of the earlier archive, and of its log.
        client.batch_execute("CHECKPOINT").await.unwrap();
        Self { archive, wants }
    }

    pub(crate) async fn append(self, body: Bytes) {
        let appended = self.archive.append(Append::new(delivery(body))).await.unwrap();
        assert!(!appended.receipt.is_repeat());
    }

    pub(crate) async fn append_repeat(self, body: Bytes) {
        let appended = self.archive.append(Append::new(delivery(body))).await.unwrap();
        assert!(appended.receipt.is_repeat());
    }

    pub(crate) async fn claim(&self, limit: usize) -> Vec<Lease> {
        let claim = Claim::new(self.wants.to_vec(), limit).leased_for(Duration::from_secs(3600));
        let claimed = self.archive.claim(claim).await.unwrap();
        claimed.leases.into_iter().map(|(_, lease)| lease).collect()
    }

    /// Claims, reads and settles some deliveries. Returns their number.
    pub(crate) async fn handle(&self) -> usize {
        let leases = self.claim(AT_A_TIME).await;
        let mut running = tokio::task::JoinSet::new();
        for lease in &leases {
            let (archive, lease) = (self.archive.clone(), *lease);
            running.spawn(async move {
                let archived = archive.get(lease.id()).await.unwrap().unwrap();
                assert!(!archived.delivery.body().is_empty());
                archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
            });
        }
        running.join_all().await;
        leases.len()
    }
}
