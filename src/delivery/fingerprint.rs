use std::fmt;

use super::{Digest, ModelName};

/// What makes two deliveries the same: the model, the path with its query, and the bytes of the body.
///
/// The path and the query belong to it, since they may be all that tells which inference it is: some senders post an
/// empty body to `?id=…`. Secret values in the query do not, so that a token may change between two attempts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// Of a body with this digest that was posted for `model` to this path and query, which is redacted.
    pub(crate) fn of(model: &ModelName, target: &str, digest: Digest) -> Self {
        // Neither names nor targets hold a line break.
        let facts = format!("{model}\n/{}\n{digest}", target.trim_start_matches('/'));
        Self(Digest::of(facts.as_bytes()))
    }

    /// The thirty-two bytes of it.
    #[cfg(feature = "disk")]
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// One that an archive has written down.
    #[cfg(feature = "disk")]
    pub(crate) fn from_archive(digest: Digest) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_target_and_bytes_all_count() {
        let of = |model: &str, target, body: &[u8]| {
            Fingerprint::of(&model.parse().unwrap(), target, Digest::of(body))
        };
        let one = of("/m", "/p/1?a=b", b"x");
        assert_eq!(one, of("/m", "/p/1?a=b", b"x"));
        for other in
            [of("/n", "/p/1?a=b", b"x"), of("/m", "/p/2?a=b", b"x"), of("/m", "/p/1?a=b", b"y")]
        {
            assert_ne!(one, other);
        }
    }
}
