//! `inbox retry`: what is meant, and who does it.

mod run;
mod settle;

pub(crate) use run::run;
