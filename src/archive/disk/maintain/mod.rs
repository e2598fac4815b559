//! Maintenance of sealed segments: index files, compression, retention, erasure, and the inventory of segments.

pub(super) mod compactor;
pub(super) mod forget;
pub(super) mod indexing;
pub(super) mod inventory;
pub(super) mod maintenance;
pub(super) mod policy;
pub(super) mod request;
pub(super) mod rewrite;
pub(super) mod superseded;
