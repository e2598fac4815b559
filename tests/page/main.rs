//! The web page of an inbox: its pages and actions over HTTP, hostile deliveries, and in a browser.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod actions;
mod browser;
mod browser_temporary;
mod guards;
mod hostile;
mod overview;
mod pages;
mod support;
mod temporary;
