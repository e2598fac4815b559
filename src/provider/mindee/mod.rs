//! mindee
