//! What holds for every scheme, and what the doctor finds.

mod doctoring;
mod every_scheme;
mod lists;
