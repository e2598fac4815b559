//! Whether the disks of the tables have room again, after a statement was rejected for lack of it.

use tokio_postgres::{error::SqlState, types::Type};

use super::{error::Failure, operations::value, session::Session};

/// The tablespaces of the schema. An empty name is that of the database.
const TABLESPACES: &str = "SELECT DISTINCT quote_literal(coalesce(quote_ident(t.spcname), '')) \
    FROM pg_class c LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace \
    WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'i')";

/// Fails with the error of a full disk if there is no room for 2 MiB in a tablespace of this schema, whose name is
/// quoted.
///
/// Writes temporary files: other than rows that are rolled back, they leave nothing to vacuum, and use up no pages of the
/// tables that have room for small deliveries.
pub(super) async fn check_space(session: &Session, schema: &str) -> Result<(), Failure> {
    for row in &session.query(TABLESPACES, &[(&schema, Type::TEXT)]).await? {
        match session.batch(&write_temporary_file(value(row, 0)?)).await {
            // The role may not create files there, or only small ones: the next append has to show whether there is room.
            Err(failure @ Failure::Rejected { .. }) if !failure.is(&SqlState::DISK_FULL) => {
                tracing::debug!(
                    error = &failure as &dyn std::error::Error,
                    "room on the disk is not known"
                );
            }
            written => written?,
        }
    }
    Ok(())
}

/// A transaction that writes a result of 2 MiB, which is more than its memory, to a file in this tablespace.
fn write_temporary_file(tablespace: &str) -> String {
    format!(
        "SELECT set_config('work_mem', '64kB', true), set_config('temp_tablespaces', {tablespace}, true); \
         SELECT count(*) FROM unnest(array_fill(repeat('x', 8192), ARRAY[256]))"
    )
}
