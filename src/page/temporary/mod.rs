//! Temporary endpoints: random paths that store in memory what a sender posts, to see what it sends.
//!
//! A request to the path of an endpoint needs no guard, because the path is the secret. It is never verified, archived
//! or handled. Everything else needs the guard.

mod check;
mod endpoints;
mod receive;
mod scheme;
mod struct_section;
mod token;
mod view;

pub(super) use check::{Checker, Form};
pub(super) use endpoints::{EndpointError, Endpoints};
pub(super) use receive::{Receiver, is_endpoint_path};
pub(super) use view::{checked_page, endpoint_page, list_page, request_page};
