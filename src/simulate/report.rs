use std::{fmt, time::Duration};

use bytes::Bytes;
use http::StatusCode;

use super::Fault;

/// One request of a fault, and its response.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) fault: Fault,
    pub(super) body: Bytes,
    pub(super) answer: Answer,
    pub(super) took: Duration,
    pub(super) expected: Expected,
}

impl Report {
    /// Returns the fault that the request is part of.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Returns the body of the request, also if only a part of it was sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the response.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Returns the time from the connection to the response.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Returns true if the receiver answered 2xx: the delivery must not be lost from then on.
    pub fn is_acknowledged(&self) -> bool {
        matches!(self.answer, Answer::Status(status) if status.is_success())
    }

    /// Returns true if a correct receiver answers so.
    pub fn is_expected(&self) -> bool {
        self.expected.accepts(&self.answer)
    }

    /// Returns which responses are correct, such as `2xx`.
    pub fn expected(&self) -> &'static str {
        match self.expected {
            Expected::Acknowledged => "2xx",
            Expected::Rejected => "4xx",
            Expected::TooLong => "413 or a closed connection",
            Expected::AcknowledgedOrRejected => "2xx or 4xx",
            Expected::NoServerError => "2xx, 4xx or a closed connection",
            Expected::NoResponse => "no response",
        }
    }
}

/// The response to a request, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The receiver answered with this status.
    Status(StatusCode),
    /// The sender closed the connection without reading a response.
    NotAwaited,
    /// There was no connection, for this reason.
    Unreachable(String),
    /// The connection ended without a response, for this reason.
    Closed(String),
    /// There was no response within the [timeout](super::Sender::timeout).
    TimedOut,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::NotAwaited => f.write_str("hung up"),
            Self::Unreachable(reason) => write!(f, "not connected: {reason}"),
            Self::Closed(reason) => write!(f, "no response: {reason}"),
            Self::TimedOut => f.write_str("no response: timeout"),
        }
    }
}

/// The responses of a correct receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Acknowledged,
    Rejected,
    TooLong,
    AcknowledgedOrRejected,
    /// Anything that does not ask for a repeat of the same bytes.
    NoServerError,
    /// The sender does not wait for a response.
    NoResponse,
}

impl Expected {
    fn accepts(self, answer: &Answer) -> bool {
        match (self, answer) {
            (Self::NoResponse, answer) => *answer == Answer::NotAwaited,
            // A server that answers before it has read the body can close the connection before the sender has read the
            // response.
            (Self::TooLong | Self::NoServerError, Answer::Closed(_)) => true,
            (
                _,
                Answer::NotAwaited | Answer::Unreachable(_) | Answer::Closed(_) | Answer::TimedOut,
            ) => false,
            (Self::Acknowledged, Answer::Status(status)) => status.is_success(),
            (Self::Rejected, Answer::Status(status)) => status.is_client_error(),
            (Self::TooLong, Answer::Status(status)) => *status == StatusCode::PAYLOAD_TOO_LARGE,
            (Self::AcknowledgedOrRejected | Self::NoServerError, Answer::Status(status)) => {
                status.is_success() || status.is_client_error()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expected_statuses_are_accepted() {
        let accepted = |expected: Expected| -> Vec<u16> {
            let statuses = [200, 202, 302, 401, 413, 500].into_iter();
            let status = |code| Answer::Status(StatusCode::from_u16(code).unwrap());
            statuses.filter(|code| expected.accepts(&status(*code))).collect()
        };
        assert_eq!(accepted(Expected::Acknowledged), [200, 202]);
        assert_eq!(accepted(Expected::Rejected), [401, 413]);
        assert_eq!(accepted(Expected::TooLong), [413]);
        assert_eq!(accepted(Expected::AcknowledgedOrRejected), [200, 202, 401, 413]);
        assert!(accepted(Expected::NoResponse).is_empty());
        let closed = Answer::Closed("reset".to_owned());
        assert!(Expected::TooLong.accepts(&closed) && !Expected::Acknowledged.accepts(&closed));
        assert!(Expected::NoResponse.accepts(&Answer::NotAwaited));
        for missing in [Answer::Unreachable("refused".to_owned()), Answer::TimedOut] {
            assert!(
                !Expected::TooLong.accepts(&missing) && !Expected::NoResponse.accepts(&missing)
            );
        }
    }
}
