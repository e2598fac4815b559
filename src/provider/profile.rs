use std::time::Duration;

use http::StatusCode;

/// What a provider makes of the status codes that it is answered, and how long it waits and tries.
///
/// A constant of the kind that fits, with what the provider publishes:
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::provider::{OnClientError, Profile};
///
/// const ACME: Profile = Profile::REPEATS_ON_4XX
///     .answered_within(Duration::from_secs(10))
///     .tried_for(Duration::from_hours(2));
/// assert_eq!(ACME.undecodable, 202);
/// assert_eq!(ACME.on_client_error, OnClientError::Retries);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// What a delivery is answered that is archived but cannot be loaded into its type.
    pub undecodable: StatusCode,
    /// What a delivery is answered that was accepted for later.
    pub accepted: StatusCode,
    /// What it makes of a 4xx.
    pub on_client_error: OnClientError,
    /// How long it waits for an answer, where that is published.
    pub answered_within: Option<Duration>,
    /// How long after the first try the last one comes, where that is published: a server that is down for longer
    /// loses deliveries.
    pub tried_for: Option<Duration>,
}

/// What a provider does when a delivery is answered with a 4xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnClientError {
    /// Reports the failure to its user, and keeps the result or has tried often enough.
    Reports,
    /// Gives the delivery up, or disables the endpoint.
    GivesUp,
    /// Posts the same delivery again.
    Retries,
    /// The provider does not publish it.
    Unpublished,
}

impl Profile {
    /// For a provider to which a 4xx only reports a failure: an undecodable delivery is answered 422.
    pub const REPORTS_FAILURES: Self =
        Self::answering(StatusCode::UNPROCESSABLE_ENTITY, OnClientError::Reports);

    /// For a provider that gives up or disables the endpoint after a 4xx: an undecodable delivery is answered 202, since
    /// it is archived and can be replayed.
    pub const GIVES_UP_ON_4XX: Self = Self::answering(StatusCode::ACCEPTED, OnClientError::GivesUp);

    /// For a provider that posts again after a 4xx: an undecodable delivery is answered 202, since the same bytes would
    /// come again.
    pub const REPEATS_ON_4XX: Self = Self::answering(StatusCode::ACCEPTED, OnClientError::Retries);

    /// For a provider that does not publish what it makes of a 4xx: an undecodable delivery is answered 202, since it is
    /// archived and can be replayed.
    pub const UNPUBLISHED: Self = Self::answering(StatusCode::ACCEPTED, OnClientError::Unpublished);

    /// For a provider to which nothing but 200 is success, and that does not publish what it makes of a 4xx.
    pub const WANTS_200: Self = Self {
        accepted: StatusCode::OK,
        ..Self::answering(StatusCode::OK, OnClientError::Unpublished)
    };

    /// Sets the status code for deliveries that are archived but cannot be decoded.
    pub const fn undecodable(mut self, status: StatusCode) -> Self {
        self.undecodable = status;
        self
    }

    /// Sets the status code for deliveries that are archived and processed in the background.
    pub const fn accepted(mut self, status: StatusCode) -> Self {
        self.accepted = status;
        self
    }

    /// Sets what it makes of a 4xx. Does not change what an undecodable delivery is answered.
    pub const fn on_client_error(mut self, reaction: OnClientError) -> Self {
        self.on_client_error = reaction;
        self
    }

    /// Sets how long it waits for an answer.
    pub const fn answered_within(mut self, time: Duration) -> Self {
        self.answered_within = Some(time);
        self
    }

    /// Sets for how long it tries, from the first try to the last.
    pub const fn tried_for(mut self, time: Duration) -> Self {
        self.tried_for = Some(time);
        self
    }

    const fn answering(status: StatusCode, on_client_error: OnClientError) -> Self {
        Self {
            undecodable: status,
            accepted: StatusCode::ACCEPTED,
            on_client_error,
            answered_within: None,
            tried_for: None,
        }
    }
}

/// [`Profile::UNPUBLISHED`].
impl Default for Profile {
    fn default() -> Self {
        Self::UNPUBLISHED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setters_change_one_value_each() {
        let profile = Profile::default()
            .undecodable(StatusCode::UNPROCESSABLE_ENTITY)
            .accepted(StatusCode::NO_CONTENT)
            .on_client_error(OnClientError::Retries);
        assert_eq!(profile.undecodable, 422);
        assert_eq!(profile.accepted, 204);
        assert_eq!(profile.on_client_error, OnClientError::Retries);
        assert_eq!(Profile::default(), Profile::UNPUBLISHED);
    }

    #[test]
    fn no_two_profiles_are_the_same() {
        let all = [
            Profile::REPORTS_FAILURES,
            Profile::GIVES_UP_ON_4XX,
            Profile::REPEATS_ON_4XX,
            Profile::UNPUBLISHED,
            Profile::WANTS_200,
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{one:?}");
        }
    }
}
