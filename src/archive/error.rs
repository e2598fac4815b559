use std::{io, path::PathBuf};

use crate::delivery::DeliveryId;

/// Why an archive did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Another process, or another archive of this process, has the directory open for writing.
    #[error(
        "{} has the archive {} open for writing; stop it, wait with `wait_for_lock`, or open another directory",
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")),
        path.display()
    )]
    Locked {
        /// The directory of the archive.
        path: PathBuf,
        /// The process that has it open, as far as its lock file says.
        pid: Option<u32>,
    },
    /// The archive was opened to be read only.
    #[error("the archive {} was opened to be read only: open it for writing", path.display())]
    ReadOnly {
        /// The directory of the archive.
        path: PathBuf,
    },
    /// The disk is nearly full. What is left is for outcomes, for recovery and for removing. New deliveries are taken
    /// again as soon as there is more.
    #[error(
        "the disk of the archive {} has {free} bytes left, and new deliveries are refused below {least}: remove old \
         deliveries, or give it more room",
        path.display()
    )]
    NoSpace {
        /// The directory of the archive.
        path: PathBuf,
        /// How many bytes are free.
        free: u64,
        /// How many must be.
        least: u64,
    },
    /// More waits to be written than the archive lets wait.
    #[error("the archive has too much waiting to be written: try again in a moment")]
    Overloaded,
    /// The archive was closed.
    #[error("the archive is closed")]
    Closed,
    /// An outcome was given for a delivery that is not there.
    #[error("the archive holds no delivery {id}")]
    Unknown {
        /// The delivery that was asked for.
        id: DeliveryId,
    },
    /// A part of the archive cannot be read as what was written.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A later version of this crate wrote a part of the archive.
    #[error("{} has the format {format}, which this version does not read: use a newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was to be done, such as `open` or `sync`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What produces the entries of a scan failed. Entries may be missing.
    #[error("the scan ended before all was found; scan again, and see the log for the reason")]
    Interrupted,
    /// An engine other than the ones here failed.
    #[error("the archive failed")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}
