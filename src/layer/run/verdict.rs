use http::StatusCode;

use crate::delivery::Outcome;

/// What the status that a handler answers makes of the delivery.
///
/// 2xx: processed. 4xx: dead, since the same bytes would be refused again; except for 408, 409, 425 and 429, which
/// speak of the moment. Everything else: failed.
pub(super) fn outcome_of(status: StatusCode) -> Outcome {
    if status.is_success() {
        return Outcome::processed(status.as_u16());
    }
    let reason = format_args!("the handler answered {}", status.as_u16()).to_string();
    let of_the_moment = matches!(status.as_u16(), 408 | 409 | 425 | 429);
    if status.is_client_error() && !of_the_moment {
        Outcome::dead(reason)
    } else {
        Outcome::failed(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::OutcomeKind::{self, Dead, Failed, Processed};

    #[test]
    fn the_status_decides() {
        let expected: [(u16, OutcomeKind); 12] = [
            (200, Processed),
            (204, Processed),
            (301, Failed),
            (400, Dead),
            (404, Dead),
            (408, Failed),
            (409, Failed),
            (410, Dead),
            (425, Failed),
            (429, Failed),
            (500, Failed),
            (503, Failed),
        ];
        for (status, kind) in expected {
            assert_eq!(outcome_of(StatusCode::from_u16(status).unwrap()).kind(), kind, "{status}");
        }
    }
}
