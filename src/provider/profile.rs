use std::time::Duration;

use http::StatusCode;

/// What a provider makes of the status codes that it is answered, and how long it waits and tries.
///
/// A constant of the kind that fits, with what the provider publishes:
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::provider::Profile;
///
/// const ACME: Profile = Profile::REPEATS_ON_4XX
///     .answered_within(Duration::from_secs(10))
///     .tried_for(Duration::from_hours(2));
/// assert_eq!(ACME.undecodable, 202);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// What a delivery is answered that is archived but cannot be loaded into its type.
    pub undecodable: StatusCode,
    /// What a delivery is answered that was accepted for later.
    pub accepted: StatusCode,
    /// How long it waits for an answer, where that is published.
    pub answered_within: Option<Duration>,
    /// How long after the first try the last one comes, where that is published: a server that is down for longer
    /// loses deliveries.
    pub tried_for: Option<Duration>,
}

impl Profile {
    /// For a provider to whom a 4xx only reports a failure: what cannot be decoded is answered 422.
    pub const REPORTS_FAILURES: Self = Self::answering(StatusCode::UNPROCESSABLE_ENTITY);

    /// For a provider to whom a 4xx ends the delivery or disables the endpoint: what cannot be decoded is answered
    /// 202, since it is archived and can be replayed.
    pub const GIVES_UP_ON_4XX: Self = Self::answering(StatusCode::ACCEPTED);

    /// For a provider that posts again after a 4xx: what cannot be decoded is answered 202, since the same bytes
    /// would come again.
    pub const REPEATS_ON_4XX: Self = Self::answering(StatusCode::ACCEPTED);

    /// For a provider that does not say what it makes of a 4xx: what cannot be decoded is answered 202, which costs
    /// nothing, since it is archived and can be replayed.
    pub const UNPUBLISHED: Self = Self::answering(StatusCode::ACCEPTED);

    /// For a provider to whom nothing but 200 is success.
    pub const WANTS_200: Self =
        Self { accepted: StatusCode::OK, ..Self::answering(StatusCode::OK) };

    /// Waits this long for an answer.
    pub const fn answered_within(mut self, time: Duration) -> Self {
        self.answered_within = Some(time);
        self
    }

    /// Tries for this long, from the first try to the last.
    pub const fn tried_for(mut self, time: Duration) -> Self {
        self.tried_for = Some(time);
        self
    }

    const fn answering(status: StatusCode) -> Self {
        Self {
            undecodable: status,
            accepted: StatusCode::ACCEPTED,
            answered_within: None,
            tried_for: None,
        }
    }
}
