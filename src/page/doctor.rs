//! What the doctor finds for a request whose signature is rejected.

use maud::{Markup, html};

use super::format;
use crate::signature::{
    SignatureError,
    doctor::{Finding, HeadFinding},
};

/// Explains a rejection: the error, and the changes with which the signature would match.
pub(super) fn explanation(
    error: &SignatureError,
    hint: Option<&HeadFinding>,
    findings: &[Finding],
) -> Markup {
    let hint = hint.map(ToString::to_string);
    let reasons: Vec<_> =
        hint.into_iter().chain(findings.iter().map(ToString::to_string)).collect();
    html! {
        p { strong { "The signature is rejected: " } (format::foreign(&error.to_string())) }
        @if reasons.is_empty() {
            p { "No known difference makes it match. Either the secret is another one, or the sender is." }
        } @else {
            h2 { "The doctor" }
            ul { @for reason in &reasons { li { (format::foreign(reason)) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, header::HeaderName};

    use super::*;
    use crate::signature::{Place, doctor::examine_head};

    #[test]
    fn rejection_is_unexplained_only_without_a_hint() {
        let place = Place::Header(HeaderName::from_static("x-signature"));
        let error = SignatureError::Missing { place };
        let (head, ()) =
            Request::post("/").header("x-hub-signature", "a").body(()).unwrap().into_parts();
        let hint = examine_head(&error, &head);
        assert!(hint.is_some());
        let explained = explanation(&error, hint.as_ref(), &[]).into_string();
        assert!(explained.contains("<li>") && !explained.contains("No known"), "{explained}");
        let unexplained = explanation(&error, None, &[]).into_string();
        assert!(!unexplained.contains("<li>") && unexplained.contains("No known"), "{unexplained}");
    }
}
