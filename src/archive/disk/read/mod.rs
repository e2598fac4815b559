//! Reads records: single deliveries, ordered listings, the ledger, histories, exports, statistics, and
//! verification.

pub(super) mod history;
pub(super) mod listing;
pub(super) mod reader;
pub(super) mod scan;
pub(super) mod scanner;
pub(super) mod stats;
pub(super) mod verify;
