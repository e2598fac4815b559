use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::simulate::{
    Fault, Payloads,
    plan::{self, Abilities, Framing, HeadChange, Post, Signing, Step, padded},
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
    /// The failure of a job. Expected: 2xx. Not applicable without a [failure](Payloads::failure).
    FailedResult,
    /// A result of 1 MiB. Expected: 2xx.
    LargeResult,
    /// Valid JSON with spaces that no serializer writes. Expected: 2xx: the signature covers the exact bytes.
    ExactBytes,
    /// A body that has the meaning of the signed one, but other bytes. Expected: 4xx.
    ReserializedSignature,
    /// No signature and no token. Expected: 4xx. Not applicable if the sender has neither.
    MissingSignature,
    /// Two signatures: that of an unknown secret, and then the right one. Expected: 2xx: a sender of Standard Webhooks signs
    /// with the new and the old secret during a rotation. Not applicable to other senders.
    SignatureList,
    /// `GET`. Expected: 4xx.
    WrongMethod,
    /// A path below that of the receiver. Expected: 4xx.
    UnknownPath,
    /// No `Content-Type`, which neither Mindee, FoxyAI nor Standard Webhooks specifies. Expected: 2xx.
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
    const OTHER: [Self; 15] = [
        Self::FailedResult,
        Self::LargeResult,
        Self::ExactBytes,
        Self::ReserializedSignature,
        Self::MissingSignature,
        Self::SignatureList,
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
            Self::SignatureList => "signature-list",
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
            Self::FailedResult => "the failure of a job",
            Self::LargeResult => "a result of 1 MiB",
            Self::ExactBytes => "JSON with spaces that no serializer writes",
            Self::ReserializedSignature => "the signature of the same JSON in other bytes",
            Self::MissingSignature => "no signature and no token",
            Self::SignatureList => "the signature of an unknown secret, then the right one",
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
        let needs = |met: bool, reason: &'static str| if met { Ok(()) } else { Err(reason) };
        let with_head = |head, expected| Post { head, expected, ..result() };
        let with_body = |body: Bytes, expected| Post { expected, ..Post::of(body) };
        let either = Expected::AcknowledgedOrRejected;
        let posts = match self {
            Self::Fault(fault) => return plan::plan(fault, payloads, abilities),
            Self::FailedResult => {
                let failure = payloads.failed_result().ok_or("there is no payload of a failure")?;
                vec![Post::of(failure.clone())]
            }
            Self::LargeResult => vec![Post::of(padded(payloads.result(), LARGE))],
            Self::ExactBytes => vec![Post::of(spaced(payloads.result()))],
            Self::ReserializedSignature => {
                needs(abilities.signs_body, "the signature does not depend on the body")?;
                let signed = Some(payloads.result().clone());
                vec![Post { signed, ..with_body(spaced(payloads.result()), Expected::Rejected) }]
            }
            Self::MissingSignature => {
                needs(abilities.is_signed, "the sender has no signature and no token")?;
                vec![with_head(HeadChange::Unsigned, Expected::Rejected)]
            }
            Self::SignatureList => {
                needs(abilities.lists_signatures, "the sender has one signature")?;
                vec![Post { signing: Signing::Listed, ..result() }]
            }
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
            Self::DeepNesting => vec![with_body(nested(payloads.result()), either), result()],
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

/// Returns nested lists as the first member of the result that is an object: a receiver reads it.
fn nested(result: &[u8]) -> Bytes {
    let result: Map<String, Value> = serde_json::from_slice(result).unwrap_or_default();
    let name = result.iter().find(|(_, value)| value.is_object()).map_or("data", |(name, _)| name);
    let mut body = format!("{{{}:", Value::from(name)).into_bytes();
    body.extend(std::iter::repeat_n(b'[', DEPTH));
    body.extend(std::iter::repeat_n(b']', DEPTH));
    body.push(b'}');
    body.into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::simulate::Product;

    #[test]
    fn names_are_distinct_and_there_are_thirty_one_scenarios() {
        let names: HashSet<_> = Scenario::all().map(Scenario::name).collect();
        assert_eq!((names.len(), Scenario::all().count()), (31, 31));
    }

    #[test]
    fn spaces_are_added_outside_of_strings_only() {
        let spaced = spaced(br#"{"a,\":b":[1,"x:\\",2]}"#);
        assert_eq!(spaced, r#"{"a,\":b":  [1,  "x:\\",  2]}"#);
    }

    #[test]
    fn lists_are_nested_in_the_member_that_a_receiver_reads() {
        let start = |payloads: &Payloads, start: &str| {
            assert!(nested(payloads.result()).starts_with(start.as_bytes()), "{start}");
        };
        start(&Payloads::of_mindee(Product::Extraction), "{\"inference\":[[");
        start(&Payloads::of_standard(), "{\"data\":[[");
        start(&Payloads::new("[]", "[]"), "{\"data\":[[");
    }
}
