use std::fmt;

use bytes::Bytes;

use crate::simulate::{
    Fault, Payloads,
    plan::{self, Abilities, Framing, HeadChange, Post, Step, padded},
    report::Expected,
};

/// The length of a large result, in bytes. OCR results of a few pages are as long.
const LARGE: usize = 1 << 20;

/// The depth of a nested body. Parsers that recurse without a limit overflow their stack.
const DEPTH: usize = 50_000;

/// One test of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scenario {
    /// A fault of the sender.
    Fault(Fault),
    /// The earlier state of a job alone, such as a failed inference. Expected: 2xx.
    FailedResult,
    /// A result of 1 MiB. Expected: 2xx.
    LargeResult,
    /// Valid JSON with spaces that no serializer writes. Expected: 2xx: the signature covers the exact bytes.
    ExactBytes,
    /// A body that has the meaning of the signed one, but other bytes. Expected: 4xx.
    ReserializedSignature,
    /// No signature. Expected: 4xx.
    MissingSignature,
    /// `GET`. Expected: 4xx.
    WrongMethod,
    /// A path below that of the receiver. Expected: 4xx.
    UnknownPath,
    /// No `Content-Type`, which Mindee does not document. Expected: 2xx.
    NoContentType,
    /// `Content-Type: text/plain`. Expected: 2xx.
    OtherContentType,
    /// A signed empty body. Expected: 2xx or 4xx: a repeat would be the same.
    EmptyBody,
    /// A signed body that is no JSON. Expected: 2xx or 4xx.
    InvalidJson,
    /// A signed body with 50,000 nested lists, and then a result. Expected: 2xx or 4xx, and 2xx for the result.
    DeepNesting,
    /// A header of 1 MiB, and then a result. Expected: 2xx, 4xx or a closed connection, and 2xx for the result.
    HugeHeader,
    /// A body over the limit of the receiver, without an announced length. Expected: 413, or a closed connection.
    OversizedChunks,
}

impl Scenario {
    /// The scenarios that are not faults.
    const OTHER: [Self; 14] = [
        Self::FailedResult,
        Self::LargeResult,
        Self::ExactBytes,
        Self::ReserializedSignature,
        Self::MissingSignature,
        Self::WrongMethod,
        Self::UnknownPath,
        Self::NoContentType,
        Self::OtherContentType,
        Self::EmptyBody,
        Self::InvalidJson,
        Self::DeepNesting,
        Self::HugeHeader,
        Self::OversizedChunks,
    ];

    /// Returns all scenarios: the faults first.
    pub fn all() -> impl Iterator<Item = Self> {
        Fault::ALL.iter().copied().map(Self::Fault).chain(Self::OTHER)
    }

    /// Returns the name, such as `exact-bytes`. A fault has its own name, and a result without a fault is `result`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault(Fault::None) => "result",
            Self::Fault(fault) => fault.name(),
            Self::FailedResult => "failed-result",
            Self::LargeResult => "large-result",
            Self::ExactBytes => "exact-bytes",
            Self::ReserializedSignature => "reserialized-signature",
            Self::MissingSignature => "missing-signature",
            Self::WrongMethod => "wrong-method",
            Self::UnknownPath => "unknown-path",
            Self::NoContentType => "no-content-type",
            Self::OtherContentType => "other-content-type",
            Self::EmptyBody => "empty-body",
            Self::InvalidJson => "invalid-json",
            Self::DeepNesting => "deep-nesting",
            Self::HugeHeader => "huge-header",
            Self::OversizedChunks => "oversized-chunks",
        }
    }

    /// Returns a description of a few words.
    pub fn description(self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.description(),
            Self::FailedResult => "the failure of an inference",
            Self::LargeResult => "a result of 1 MiB",
            Self::ExactBytes => "JSON with spaces that no serializer writes",
            Self::ReserializedSignature => "the signature of the same JSON in other bytes",
            Self::MissingSignature => "no signature",
            Self::WrongMethod => "GET instead of POST",
            Self::UnknownPath => "a path below that of the receiver",
            Self::NoContentType => "no Content-Type",
            Self::OtherContentType => "Content-Type: text/plain",
            Self::EmptyBody => "a signed empty body",
            Self::InvalidJson => "a signed body that is no JSON",
            Self::DeepNesting => "50,000 nested lists, then a result",
            Self::HugeHeader => "a header of 1 MiB, then a result",
            Self::OversizedChunks => "a body over the limit, without an announced length",
        }
    }

    /// Returns the steps, or the reason why the scenario is not applicable.
    pub(super) fn plan(
        self,
        payloads: &Payloads,
        abilities: Abilities,
    ) -> Result<Vec<Step>, &'static str> {
        let result = || Post::of(payloads.result().clone());
        let signed_bodies = || {
            let reason = "the signature does not depend on the body";
            abilities.signs_body.then_some(()).ok_or(reason)
        };
        let with_head = |head, expected| Post { head, expected, ..result() };
        let with_body = |body: Bytes, expected| Post { expected, ..Post::of(body) };
        let either = Expected::AcknowledgedOrRejected;
        let posts = match self {
            Self::Fault(fault) => return plan::plan(fault, payloads, abilities),
            Self::FailedResult => {
                let state = payloads.earlier_state().ok_or("the payload has no earlier state")?;
                vec![Post::of(state.clone())]
            }
            Self::LargeResult => vec![Post::of(padded(payloads.result(), LARGE))],
            Self::ExactBytes => vec![Post::of(spaced(payloads.result()))],
            Self::ReserializedSignature => {
                signed_bodies()?;
                let signed = Some(payloads.result().clone());
                vec![Post { signed, ..with_body(spaced(payloads.result()), Expected::Rejected) }]
            }
            Self::MissingSignature => vec![with_head(HeadChange::Unsigned, Expected::Rejected)],
            Self::WrongMethod => vec![with_head(HeadChange::Get, Expected::Rejected)],
            Self::UnknownPath => vec![with_head(HeadChange::UnknownPath, Expected::Rejected)],
            Self::NoContentType => {
                vec![with_head(HeadChange::WithoutContentType, Expected::Acknowledged)]
            }
            Self::OtherContentType => {
                vec![with_head(HeadChange::PlainText, Expected::Acknowledged)]
            }
            Self::EmptyBody => vec![with_body(Bytes::new(), either)],
            Self::InvalidJson => vec![with_body(Bytes::from_static(b"{\"inference\":"), either)],
            Self::DeepNesting => vec![with_body(nested(), either), result()],
            Self::HugeHeader => {
                vec![with_head(HeadChange::HugeHeader, Expected::NoServerError), result()]
            }
            Self::OversizedChunks => {
                let body = padded(payloads.result(), abilities.oversized);
                let framing = Framing::Chunked;
                vec![Post { framing, ..with_body(body, Expected::TooLong) }]
            }
        };
        Ok(posts.into_iter().map(|post| Step::Post(vec![post])).collect())
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Returns JSON with two spaces after each comma and colon outside of strings.
fn spaced(json: &[u8]) -> Bytes {
    let (mut spaced, mut in_string, mut escaped) = (Vec::new(), false, false);
    for &byte in json {
        spaced.push(byte);
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b',' | b':' if !in_string => spaced.extend_from_slice(b"  "),
            _ => {}
        }
    }
    spaced.into()
}

fn nested() -> Bytes {
    let mut body = b"{\"inference\":".to_vec();
    body.extend(std::iter::repeat_n(b'[', DEPTH));
    body.extend(std::iter::repeat_n(b']', DEPTH));
    body.push(b'}');
    body.into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_there_are_thirty_scenarios() {
        let names: HashSet<_> = Scenario::all().map(Scenario::name).collect();
        assert_eq!((names.len(), Scenario::all().count()), (30, 30));
    }

    #[test]
    fn spaces_are_added_outside_of_strings_only() {
        let spaced = spaced(br#"{"a,\":b":[1,"x:\\",2]}"#);
        assert_eq!(spaced, r#"{"a,\":b":  [1,  "x:\\",  2]}"#);
    }
}
