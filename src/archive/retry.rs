use super::{Archive, ArchiveError, Line, Query};

/// Makes pending again what `query` selects of the dead, the undecodable and the failed, from the first attempt on, and
/// gives their lines. Workers take them up; see [`Inbox::retry`](crate::Inbox::retry).
///
/// # Errors
///
/// If the archive cannot be read or written. Some may be pending by then.
///
/// ```
/// use tower_inbox::archive::{MemoryArchive, Query, retry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_inbox::archive::ArchiveError> {
/// let archive = MemoryArchive::new();
/// assert!(retry(&archive, Query::all()).await?.is_empty());
/// # Ok(())
/// # }
/// ```
pub async fn retry(archive: &dyn Archive, query: Query) -> Result<Vec<Line>, ArchiveError> {
    let mut lines = archive.ledger(query);
    let mut retried = Vec::new();
    while let Some(line) = lines.next().await {
        let line = line?;
        if let Some(again) = line.outcome.as_ref().and_then(crate::delivery::Outcome::again) {
            archive.settle(line.id, again).await?;
            retried.push(line);
        }
    }
    Ok(retried)
}
