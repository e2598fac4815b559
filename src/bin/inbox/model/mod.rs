//! `inbox model`: what a sample holds, names for it in Rust, and the text of the structs.

mod kind;
mod name;
mod run;
mod structs;
mod text;

pub(crate) use run::run;
