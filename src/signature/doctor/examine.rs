use std::{borrow::Cow, time::SystemTime};

use http::request::Parts;

use super::{BodyChange, Difference, Finding};
use crate::signature::Scheme;

/// Tells what would have made `scheme` accept this delivery, those with the fewest differences only. Empty if nothing
/// on the [list](super) would have: then it is the secret, or the sender signs in a way of its own.
///
/// `at` is the time of receipt.
pub fn examine(scheme: &dyn Scheme, head: &Parts, body: &[u8], at: SystemTime) -> Vec<Finding> {
    let mut findings = all(scheme, head, body, at);
    let fewest = findings.iter().map(|finding| finding.differences().len()).min();
    findings.retain(|finding| Some(finding.differences().len()) == fewest);
    findings
}

fn all(scheme: &dyn Scheme, head: &Parts, body: &[u8], at: SystemTime) -> Vec<Finding> {
    let variants = scheme.variants();
    let others = variants.iter().map(|variant| (Some(&variant.difference), &*variant.scheme));
    let schemes: Vec<_> = std::iter::once((None, scheme)).chain(others).collect();
    let mut findings = Vec::new();
    for (change, body) in bodies(body) {
        for (difference, scheme) in &schemes {
            if let Ok(proof) = scheme.verify(head, &body, at) {
                let differences = difference.iter().copied().chain(&change).cloned().collect();
                findings.push(Finding::new(differences, proof));
            }
        }
    }
    findings
}

fn bodies(body: &[u8]) -> impl Iterator<Item = (Option<Difference>, Cow<'_, [u8]>)> {
    let changed = BodyChange::ALL.into_iter().filter_map(move |change| {
        Some((Some(Difference::Body(change)), Cow::Owned(change.apply(body)?)))
    });
    std::iter::once((None, Cow::Borrowed(body))).chain(changed)
}
