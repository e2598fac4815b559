use http::HeaderName;

use super::version::Version;

/// The headers of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) id: HeaderName,
    pub(super) timestamp: HeaderName,
    pub(super) signature: HeaderName,
}

impl Names {
    pub(super) const STANDARD: Self = Self {
        id: HeaderName::from_static("webhook-id"),
        timestamp: HeaderName::from_static("webhook-timestamp"),
        signature: HeaderName::from_static("webhook-signature"),
    };

    pub(super) const SVIX: Self = Self {
        id: HeaderName::from_static("svix-id"),
        timestamp: HeaderName::from_static("svix-timestamp"),
        signature: HeaderName::from_static("svix-signature"),
    };

    /// What a proof by these headers calls the scheme, for a signature of a version.
    pub(super) fn scheme_of(&self, version: &dyn Version) -> &'static str {
        if *self == Self::SVIX { version.svix_scheme() } else { version.scheme() }
    }

    pub(super) fn other(&self) -> Self {
        if *self == Self::STANDARD { Self::SVIX } else { Self::STANDARD }
    }
}
