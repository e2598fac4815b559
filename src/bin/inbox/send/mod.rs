//! `inbox send`: who signs how, the client, and how often.

mod client;
mod load;
mod run;
mod sender;
mod tally;

pub(crate) use run::run;
