use std::{borrow::Cow, fmt, sync::Arc, time::SystemTime};

use http::request::{self, Parts};
use zeroize::Zeroizing;

use super::{SchemeError, Secret, doctor::Difference};

/// A set of secrets, so that they can be rotated without a gap.
///
/// ```
/// use tower_inbox::signature::{Secret, SecretSet};
///
/// let during_rotation = SecretSet::from([Secret::new("new").named("new"), Secret::new("old").named("old")]);
/// # let _ = during_rotation;
/// ```
#[derive(Clone, Debug, Default)]
pub struct SecretSet {
    source: Source,
    reading: Reading,
}

/// The reading of a set, which the doctor varies.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    at_any_time: bool,
    trimmed: bool,
}

impl SecretSet {
    /// Resolves the secrets of each request from its head, for providers with a secret for each job.
    ///
    /// `resolve` must not block. To resolve secrets from a database, insert them into the extensions of the request in
    /// a layer around the inbox. A request without secrets is rejected. A set of this kind cannot sign.
    ///
    /// ```
    /// use http::{HeaderName, request::Parts};
    /// use tower_inbox::signature::{HmacBody, Secret, SecretSet};
    ///
    /// /// The secret of the job, inserted by your own layer.
    /// #[derive(Clone)]
    /// struct JobSecret(Secret);
    ///
    /// let secrets = SecretSet::resolved_by(|head: &Parts| {
    ///     head.extensions.get().map(|JobSecret(secret)| secret.clone()).into_iter().collect()
    /// });
    /// let scheme = HmacBody::new(HeaderName::from_static("x-bfl-signature"), secrets).prefix("sha256=");
    /// # let _ = scheme;
    /// ```
    pub fn resolved_by(
        resolve: impl Fn(&request::Parts) -> Vec<Secret> + Send + Sync + 'static,
    ) -> Self {
        Self { source: Source::Resolved(Arc::new(resolve)), reading: Reading::default() }
    }

    /// Checks the secrets.
    ///
    /// # Errors
    ///
    /// If there is no secret, an empty one, or one with white space, a line break or quotation marks around it. Secrets
    /// that are resolved for each request are not checked.
    pub fn check(&self) -> Result<(), SchemeError> {
        let Source::Fixed(secrets) = &self.source else { return Ok(()) };
        if secrets.is_empty() {
            return Err(SchemeError::NoSecret);
        }
        secrets.iter().try_for_each(Secret::check)
    }

    /// Returns the secrets that do not depend on the request, valid or not.
    pub(super) fn fixed(&self) -> &[Secret] {
        match &self.source {
            Source::Fixed(secrets) => secrets,
            Source::Resolved(_) => &[],
        }
    }

    /// Returns the secrets that are valid for a request received at `at`. Never an empty one.
    pub(super) fn live(&self, head: &request::Parts, at: SystemTime) -> Vec<Secret> {
        let secrets = self.source.of(head);
        let live = secrets.iter().filter(|secret| self.reading.at_any_time || secret.is_live(at));
        live.map(|secret| if self.reading.trimmed { trimmed(secret) } else { secret.clone() })
            .filter(|secret| !secret.value().is_empty())
            .collect()
    }

    /// Returns the secrets with which a sender signs at `at`.
    pub(super) fn signing(&self, at: SystemTime) -> impl Iterator<Item = &Secret> {
        self.fixed().iter().filter(move |secret| secret.is_live(at) && !secret.value().is_empty())
    }

    /// Returns variants of this set, for the doctor.
    pub(super) fn variants(&self) -> [(Difference, Self); 2] {
        let read = |reading| Self { reading, ..self.clone() };
        [
            (Difference::SecretNotValid, read(Reading { at_any_time: true, ..self.reading })),
            (Difference::SecretTrimmed, read(Reading { trimmed: true, ..self.reading })),
        ]
    }
}

fn trimmed(secret: &Secret) -> Secret {
    secret.with_value(Zeroizing::new(secret.value().trim_ascii().to_vec()))
}

impl From<Secret> for SecretSet {
    fn from(secret: Secret) -> Self {
        vec![secret].into()
    }
}

impl<const N: usize> From<[Secret; N]> for SecretSet {
    fn from(secrets: [Secret; N]) -> Self {
        Vec::from(secrets).into()
    }
}

impl From<Vec<Secret>> for SecretSet {
    fn from(secrets: Vec<Secret>) -> Self {
        Self { source: Source::Fixed(secrets), reading: Reading::default() }
    }
}

type Resolve = dyn Fn(&Parts) -> Vec<Secret> + Send + Sync;

/// The source of the secrets of a set.
#[derive(Clone)]
pub(super) enum Source {
    Fixed(Vec<Secret>),
    Resolved(Arc<Resolve>),
}

impl Source {
    /// Returns the secrets of a request, valid or not.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;

    fn head(path: &str) -> request::Parts {
        Request::post(path).body(()).unwrap().into_parts().0
    }

    fn names(set: &SecretSet, path: &str, seconds: u64) -> Vec<String> {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        set.live(&head(path), at).iter().map(|secret| secret.name().to_owned()).collect()
    }

    #[test]
    fn debug_shows_no_value() {
        let set = SecretSet::from([Secret::new("hunter2"), Secret::new("hunter3").named("old")]);
        assert!(format!("{set:?}").contains("[Secret(main), Secret(old)]"), "{set:?}");
        assert!(!format!("{set:?}").contains("hunter"), "{set:?}");
        let resolved = SecretSet::resolved_by(|_| vec![Secret::new("hunter2")]);
        assert!(format!("{resolved:?}").contains("looked up by request"), "{resolved:?}");
    }

    #[test]
    fn set_without_a_usable_secret_is_an_error() {
        assert_eq!(SecretSet::default().check(), Err(SchemeError::NoSecret));
        let empty = SecretSet::from([Secret::new("x"), Secret::new("").named("old")]);
        assert_eq!(empty.check(), Err(SchemeError::EmptySecret { name: "old".to_owned() }));
    }

    #[test]
    fn secret_validity_is_checked_at_the_time_of_receipt() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let old = Secret::new("old").named("old").valid(..at(20));
        let new = Secret::new("new").named("new").valid(at(10)..);
        let set = SecretSet::from([new, old]);
        assert_eq!(names(&set, "/", 5), ["old"]);
        assert_eq!(names(&set, "/", 15), ["new", "old"]);
        assert_eq!(names(&set, "/", 20), ["new"]);
    }

    #[test]
    fn resolved_secrets_depend_on_the_head_and_are_never_empty() {
        let set = SecretSet::resolved_by(|head| {
            let name = head.uri.path().trim_matches('/');
            vec![Secret::new(name).named(name)]
        });
        assert_eq!(set.check(), Ok(()));
        assert_eq!(names(&set, "/job-1", 0), ["job-1"]);
        assert!(names(&set, "/", 0).is_empty());
    }
}
