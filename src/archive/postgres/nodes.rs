//! The processes that have the archive open, as they report themselves.

use std::{
    fs,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{
    archive::Inner,
    error::Failure,
    operations::{Operations, value},
};
use crate::{
    archive::{ArchiveError, Node},
    supervise::supervise,
};

/// How often a node reports.
const EVERY: Duration = Duration::from_secs(10);

/// This process as a node.
#[derive(Clone, Debug)]
pub(super) struct ThisNode {
    id: Uuid,
    name: String,
}

impl ThisNode {
    pub(super) fn new(name: String) -> Self {
        Self { id: Uuid::new_v4(), name }
    }
}

/// The name of the host and the number of the process.
pub(super) fn default_name() -> String {
    // Containers have the variable, and Linux has the file.
    let host = std::env::var("HOSTNAME").ok().filter(|host| !host.is_empty());
    let host = host.or_else(|| fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let host = host.unwrap_or_else(|| "host".to_owned());
    format!("{}/{}", host.trim(), std::process::id())
}

/// Reports periodically, until the archive is closed or dropped.
pub(super) fn start(inner: &Arc<Inner>, node: ThisNode) {
    let weak = Arc::downgrade(inner);
    tokio::spawn(async move {
        supervise("postgres node", || reports(weak.clone(), node.clone())).await;
    });
}

async fn reports(inner: Weak<Inner>, node: ThisNode) {
    loop {
        let Some(inner) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        if let Err(failure) = inner.operations.report(&node).await {
            // What the archive is used for fails, too, and is logged there.
            let error = &failure as &dyn std::error::Error;
            tracing::debug!(error, "this node could not report that it runs");
        }
        drop(inner);
        tokio::time::sleep(EVERY.mul_f64(0.9 + fastrand::f64() / 5.0)).await;
    }
}

impl Operations {
    async fn report(&self, node: &ThisNode) -> Result<(), Failure> {
        let sql = format!("SELECT {}.report_node($1, $2, $3)::text", self.sql.schema);
        let params = [
            (&node.id as _, Type::UUID),
            (&node.name as _, Type::TEXT),
            (&env!("CARGO_PKG_VERSION") as _, Type::TEXT),
        ];
        self.pool.query_again(&sql, &params).await.map(drop)
    }

    /// Removes this node from the list, because it ends.
    pub(super) async fn forget(&self, node: &ThisNode) -> Result<(), Failure> {
        let sql = format!("DELETE FROM {}.nodes WHERE id = $1", self.sql.schema);
        self.pool.query_again(&sql, &[(&node.id, Type::UUID)]).await.map(drop)
    }

    pub(super) async fn nodes(&self) -> Result<Vec<Node>, ArchiveError> {
        let schema = &self.sql.schema;
        let sql = format!(
            "SELECT name, version, (extract(epoch FROM {schema}.clock() - started_at) * 1000)::bigint, \
             (extract(epoch FROM {schema}.clock() - seen_at) * 1000)::bigint \
             FROM {schema}.nodes ORDER BY started_at, id"
        );
        let rows = self.pool.query_again(&sql, &[]).await?;
        let node = |row| {
            let since = |column| {
                let ms: i64 = value(row, column)?;
                Ok::<_, Failure>(Duration::from_millis(ms.max(0).unsigned_abs()))
            };
            let (name, version): (&str, &str) = (value(row, 0)?, value(row, 1)?);
            Ok(Node::new(name, version, since(2)?, since(3)?))
        };
        Ok(rows.iter().map(node).collect::<Result<_, Failure>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_name_is_host_and_process() {
        let name = default_name();
        let (host, process) = name.rsplit_once('/').unwrap();
        assert!(!host.is_empty() && !host.contains(char::is_whitespace), "{name}");
        assert_eq!(process, std::process::id().to_string());
    }
}
