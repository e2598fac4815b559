use super::Difference;
use crate::signature::Scheme;

/// A scheme that differs from another one in a single thing.
#[derive(Debug)]
pub struct Variant {
    pub(super) difference: Difference,
    pub(super) scheme: Box<dyn Scheme>,
}

impl Variant {
    /// `scheme` is the one that is asked, but for `difference`.
    pub fn new(difference: Difference, scheme: impl Scheme) -> Self {
        Self { difference, scheme: Box::new(scheme) }
    }
}
