use std::{borrow::Cow, fmt, sync::Arc};

use http::request::Parts;

use super::Secret;

type Resolve = dyn Fn(&Parts) -> Vec<Secret> + Send + Sync;

/// Where the secrets of a set come from.
#[derive(Clone)]
pub(super) enum Source {
    Fixed(Vec<Secret>),
    Resolved(Arc<Resolve>),
}

impl Source {
    /// The secrets of a request, live or not.
    pub(super) fn of(&self, head: &Parts) -> Cow<'_, [Secret]> {
        match self {
            Self::Fixed(secrets) => Cow::Borrowed(secrets),
            Self::Resolved(resolve) => Cow::Owned(resolve(head)),
        }
    }
}

impl Default for Source {
    fn default() -> Self {
        Self::Fixed(Vec::new())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(secrets) => secrets.fmt(f),
            Self::Resolved(_) => f.write_str("looked up by request"),
        }
    }
}
