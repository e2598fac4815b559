//! What the doctor finds for a request whose signature is rejected.

use maud::{Markup, html};

use super::format;
use crate::{
    delivery::ModelName,
    signature::{
        SignatureError,
        doctor::{Finding, HeadFinding},
    },
};

/// Explains a rejection: the error, the changes with which the signature would match, and other models that accept the
/// request as it is.
pub(super) fn explanation(
    error: &SignatureError,
    hint: Option<&HeadFinding>,
    findings: &[Finding],
    others: &[ModelName],
) -> Markup {
    let hint = hint.map(ToString::to_string);
    let reasons: Vec<_> =
        hint.into_iter().chain(findings.iter().map(ToString::to_string)).collect();
    html! {
        p { strong { "The signature is rejected: " } (format::foreign(&error.to_string())) }
        @if reasons.is_empty() && others.is_empty() {
            p { "No known difference makes it match. Either the secret is another one, or the sender is." }
        }
        @if !reasons.is_empty() {
            h2 { "The doctor" }
            ul { @for reason in &reasons { li { (format::foreign(reason)) } } }
        }
        @for model in others {
            p { "The model " strong { (model.as_str()) } " accepts it as it is." }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, header::HeaderName};

    use super::*;
    use crate::signature::{Place, doctor::examine_head};

    #[test]
    fn rejection_is_unexplained_only_without_a_hint_and_another_model() {
        let place = Place::Header(HeaderName::from_static("x-signature"));
        let error = SignatureError::Missing { place };
        let (head, ()) =
            Request::post("/").header("x-hub-signature", "a").body(()).unwrap().into_parts();
        let hint = examine_head(&error, &head);
        assert!(hint.is_some());
        let explained = explanation(&error, hint.as_ref(), &[], &[]).into_string();
        assert!(explained.contains("<li>") && !explained.contains("No known"), "{explained}");
        let other = explanation(&error, None, &[], &["/hooks/b".parse().unwrap()]).into_string();
        assert!(other.contains("/hooks/b") && !other.contains("No known"), "{other}");
        let unexplained = explanation(&error, None, &[], &[]).into_string();
        assert!(!unexplained.contains("<li>") && unexplained.contains("No known"), "{unexplained}");
    }
}
