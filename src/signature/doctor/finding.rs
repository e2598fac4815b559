use std::fmt;

use super::Difference;
use crate::signature::Proof;

/// What would have matched: the proof that there would be, and what would have to be different. Holds names only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    differences: Vec<Difference>,
    proof: Proof,
}

impl Finding {
    pub(super) fn new(differences: Vec<Difference>, proof: Proof) -> Self {
        Self { differences, proof }
    }

    /// What would have to be different; empty if the scheme accepts the delivery as it is.
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// The proof that there would be. It proves nothing.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.proof.secret();
        match self.differences.split_first() {
            None => write!(f, "secret {secret} matches"),
            Some((first, others)) => {
                write!(f, "secret {secret} would match {first}")?;
                others.iter().try_for_each(|other| write!(f, ", and {other}"))
            }
        }
    }
}
