//! Whole servers, measured from outside.

pub(crate) mod bare;
pub(crate) mod client;
pub(crate) mod extraction;
pub(crate) mod options;
pub(crate) mod rounds;
