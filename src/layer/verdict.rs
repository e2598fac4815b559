use std::time::{Duration, SystemTime};

use http::{Response, StatusCode};

use super::background::retry_after;

/// What a run of the handler says of the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Processed {
        status: u16,
    },
    /// Not this time. `asked` is for how long the handler wants to be left alone.
    Failed {
        reason: String,
        asked: Option<Duration>,
    },
    /// Never.
    Dead {
        reason: String,
    },
}

impl Verdict {
    pub(super) fn failed(reason: &impl ToString) -> Self {
        Self::Failed { reason: reason.to_string(), asked: None }
    }

    pub(super) fn of<R>(response: &Response<R>) -> Self {
        match Self::of_status(response.status()) {
            Self::Failed { reason, .. } => {
                let asked = retry_after(response.headers(), SystemTime::now());
                Self::Failed { reason, asked }
            }
            verdict => verdict,
        }
    }

    /// 2xx: processed. 4xx: dead, since the same bytes would be refused again; except for 408, 409, 425 and 429, which
    /// speak of the moment. Everything else: failed.
    fn of_status(status: StatusCode) -> Self {
        if status.is_success() {
            return Self::Processed { status: status.as_u16() };
        }
        let reason = format!("the handler answered {}", status.as_u16());
        let of_the_moment = matches!(status.as_u16(), 408 | 409 | 425 | 429);
        if status.is_client_error() && !of_the_moment {
            Self::Dead { reason }
        } else {
            Self::Failed { reason, asked: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides() {
        let verdict = |status| Verdict::of_status(StatusCode::from_u16(status).unwrap());
        for status in [200, 204] {
            assert_eq!(verdict(status), Verdict::Processed { status });
        }
        for status in [400, 404, 410, 422] {
            assert!(matches!(verdict(status), Verdict::Dead { .. }), "{status}");
        }
        for status in [301, 408, 409, 425, 429, 500, 503] {
            assert!(matches!(verdict(status), Verdict::Failed { .. }), "{status}");
        }
    }

    #[test]
    fn what_the_handler_asks_for_is_heard() {
        let response = Response::builder().status(503).header("retry-after", "7").body(()).unwrap();
        let Verdict::Failed { asked, .. } = Verdict::of(&response) else { panic!("not failed") };
        assert_eq!(asked, Some(Duration::from_secs(7)));
    }
}
