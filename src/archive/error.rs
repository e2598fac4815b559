use std::{io, path::PathBuf};

use crate::delivery::DeliveryId;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The reason why an archive operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Another process has the archive open for writing.
    #[error(
        "archive {} is locked by {}; stop that process, or use another directory",
        path.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    #[non_exhaustive]
    Locked {
        /// The directory of the archive.
        path: PathBuf,
        /// The process that holds the lock, if it could be read.
        pid: Option<u32>,
    },
    /// The archive was opened read-only.
    #[error("archive {} is open read-only; open it for writing", path.display())]
    #[non_exhaustive]
    ReadOnly {
        /// The directory of the archive.
        path: PathBuf,
    },
    /// The disk is nearly full. The remaining space is reserved for outcomes, recovery and removal. New deliveries are
    /// accepted again as soon as more space is free.
    #[error(
        "disk of archive {} has {free} bytes free, and new deliveries are rejected below {least}; remove old \
         deliveries, or enlarge the disk",
        path.display()
    )]
    #[non_exhaustive]
    NoSpace {
        /// The directory of the archive.
        path: PathBuf,
        /// The free bytes.
        free: u64,
        /// The free bytes below which new deliveries are rejected.
        least: u64,
    },
    /// The write queue is full.
    #[error("archive write queue is full; try again in a moment")]
    Overloaded,
    /// The archive was closed.
    #[error("archive is closed")]
    Closed,
    /// The delivery does not exist.
    #[error("archive has no delivery {id}")]
    #[non_exhaustive]
    Unknown {
        /// The delivery.
        id: DeliveryId,
    },
    /// The lease has ended: it expired, was settled or released, or a late worker settled the delivery.
    #[error("lease of delivery {id} was lost; its outcome is not recorded")]
    #[non_exhaustive]
    LeaseLost {
        /// The delivery.
        id: DeliveryId,
    },
    /// The archive could not be reached. The operation had no effect.
    #[error("archive is unavailable; try again")]
    Unavailable(#[source] Source),
    /// The archive did not confirm the operation, which may or may not have taken effect.
    #[error("archive did not confirm the operation; it may or may not have taken effect")]
    Unsure(#[source] Source),
    /// A part of the archive is damaged.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    #[non_exhaustive]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The offset in the file.
        offset: u64,
        /// The kind of damage.
        reason: &'static str,
    },
    /// The directory contains no archive files.
    #[error(
        "{} is not an archive: it has no segment, no lock file and no manifest; check the path",
        path.display()
    )]
    #[non_exhaustive]
    NotAnArchive {
        /// The directory.
        path: PathBuf,
    },
    /// A later version of this crate wrote a part of the archive.
    #[error("{} has format {format}, which this version cannot read; use a newer version", path.display())]
    #[non_exhaustive]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The operating system returned an error.
    #[error("cannot {action} {}", path.display())]
    #[non_exhaustive]
    Io {
        /// The operation, such as `open` or `sync`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The task that reads the archive ended before it was complete.
    #[error("reading the archive ended before all was read; what is missing is not known")]
    Incomplete,
    /// Any other failure of an archive.
    #[error("archive failed")]
    Other(#[source] Source),
}

impl ArchiveError {
    /// For archives: the error for a lease of this delivery that has ended.
    pub fn lease_lost(id: DeliveryId) -> Self {
        Self::LeaseLost { id }
    }

    /// Returns true if the archive has already logged why an append failed. The disk archive logs failed batches, not
    /// the deliveries in them.
    pub(crate) fn is_logged(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Unsure(source) => source.downcast_ref::<Self>().is_some_and(Self::is_logged),
            _ => false,
        }
    }

    /// For archives: the error for a delivery that does not exist.
    pub fn unknown(id: DeliveryId) -> Self {
        Self::Unknown { id }
    }
}
