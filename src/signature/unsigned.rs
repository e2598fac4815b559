use std::time::SystemTime;

use http::request;

use super::{Proof, Scheme, SchemeError, SignError, Signature, SignatureError};
use crate::delivery::Redaction;

/// No proof at all: whoever knows the URL may post. It has to be written out, so that nobody gets it by accident.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned;

impl Unsigned {
    /// What a proof calls it.
    pub(crate) const NAME: &'static str = "unsigned";
}

impl Scheme for Unsigned {
    fn check(&self) -> Result<(), SchemeError> {
        Ok(())
    }

    fn redaction(&self) -> Redaction {
        Redaction::default()
    }

    fn verify(&self, _: &request::Parts, _: &[u8], _: SystemTime) -> Result<Proof, SignatureError> {
        Ok(Proof::new(Self::NAME, "none", "raw"))
    }

    fn signature(&self, _: &str, _: &[u8], _: SystemTime) -> Result<Signature, SignError> {
        Ok(Signature::new())
    }
}
