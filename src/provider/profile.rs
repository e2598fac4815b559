use std::time::Duration;

use http::StatusCode;

/// The reaction of a provider to status codes, its timeout and its retry period.
///
/// Start from one of the constants, and set what the provider publishes. Default: [`UNPUBLISHED`](Self::UNPUBLISHED).
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::provider::{OnClientError, Profile};
///
/// const ACME: Profile = Profile::REPEATS_ON_4XX
///     .answered_within(Duration::from_secs(10))
///     .tried_for(Duration::from_secs(2 * 60 * 60));
/// assert_eq!(ACME.undecodable, 202);
/// assert_eq!(ACME.on_client_error, OnClientError::Retries);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// The status code for deliveries that are archived but cannot be decoded.
    pub undecodable: StatusCode,
    /// The status code for deliveries that are archived and processed in the background.
    pub accepted: StatusCode,
    /// The reaction to a 4xx.
    pub on_client_error: OnClientError,
    /// The timeout of the provider for a response, if published.
    pub answered_within: Option<Duration>,
    /// The time from the first attempt to the last one, if published. A server that is down for longer loses
    /// deliveries.
    pub tried_for: Option<Duration>,
}

/// The reaction of a provider to a 4xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnClientError {
    /// The provider reports the failure to its user.
    Reports,
    /// The provider drops the delivery, or disables the endpoint.
    GivesUp,
    /// The provider retries the delivery.
    Retries,
    /// The reaction is not published.
    Unpublished,
}

impl Profile {
    /// A provider that only reports a failure after a 4xx. An undecodable delivery is answered 422.
    pub const REPORTS_FAILURES: Self =
        Self::answering(StatusCode::UNPROCESSABLE_ENTITY, OnClientError::Reports);

    /// A provider that drops the delivery or disables the endpoint after a 4xx. An undecodable delivery is answered
    /// 202: it is archived, and can be replayed.
    pub const GIVES_UP_ON_4XX: Self = Self::answering(StatusCode::ACCEPTED, OnClientError::GivesUp);

    /// A provider that retries after a 4xx. An undecodable delivery is answered 202, because a retry would send the
    /// same bytes.
    pub const REPEATS_ON_4XX: Self = Self::answering(StatusCode::ACCEPTED, OnClientError::Retries);

    /// A provider whose reaction to a 4xx is not published. An undecodable delivery is answered 202: it is archived,
    /// and can be replayed.
    pub const UNPUBLISHED: Self = Self::answering(StatusCode::ACCEPTED, OnClientError::Unpublished);

    /// A provider that accepts only 200 as success, and whose reaction to a 4xx is not published.
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

    /// Sets the reaction to a 4xx. Does not change the status code for undecodable deliveries.
    pub const fn on_client_error(mut self, reaction: OnClientError) -> Self {
        self.on_client_error = reaction;
        self
    }

    /// Sets the timeout of the provider for a response.
    pub const fn answered_within(mut self, time: Duration) -> Self {
        self.answered_within = Some(time);
        self
    }

    /// Sets the time from the first attempt to the last one.
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
    fn profile_constants_are_distinct() {
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
