//! `inbox replay`: what is posted, and to whom.

mod changes;
mod dry;
mod run;
mod target;

pub(crate) use run::run;
