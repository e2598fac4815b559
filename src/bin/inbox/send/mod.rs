//! `inbox send`: who signs how, the client, and how often.

mod client;
mod fal;
mod load;
mod run;
mod sender;

pub(crate) use run::{count, run, scheme};
