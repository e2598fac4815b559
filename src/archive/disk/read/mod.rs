//! Reads records: single deliveries, ordered listings, the ledger, exports, statistics, and verification.

pub(super) mod cursor;
pub(super) mod export;
pub(super) mod listing;
pub(super) mod read_only;
pub(super) mod reader;
pub(super) mod scan;
pub(super) mod scanner;
pub(super) mod stats;
pub(super) mod verify;
