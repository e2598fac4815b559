//! Decides which requests make up a fault. Pure: the [`Sender`](super::Sender) executes the plan.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use super::{Fault, Payloads, report::Expected};

/// The number of concurrent requests of [`Fault::ConcurrentDuplicate`].
const CONCURRENT: usize = 4;

/// One step of a fault. The next one begins when it has ended.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Posts these requests at once.
    Post(Vec<Post>),
    /// Restarts the receiver.
    Restart,
}

/// A request, and the response that a correct receiver sends.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) body: Bytes,
    /// The body that is signed, if it is another one.
    pub(super) signed: Option<Bytes>,
    pub(super) signing: Signing,
    pub(super) head: HeadChange,
    pub(super) framing: Framing,
    pub(super) expected: Expected,
}

/// The secret and the time of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signing {
    Current,
    /// An hour ago.
    Stale,
    /// With the second secret.
    Rotated,
    /// Two signatures: that of an unknown secret, and the current one.
    Listed,
}

/// How the head of a request differs from the specified one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadChange {
    None,
    /// `Content-Encoding: gzip`.
    Gzip,
    /// `GET` instead of `POST`.
    Get,
    /// A path below that of the receiver.
    UnknownPath,
    /// No signature.
    Unsigned,
    /// No `Content-Type`.
    WithoutContentType,
    /// `Content-Type: text/plain`.
    PlainText,
    /// A header of 1 MiB.
    HugeHeader,
}

/// How a request is written to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Whole,
    /// The body in parts, with pauses.
    Slow,
    /// The body in chunks, without an announced length.
    Chunked,
    /// Half of the body. Then the connection is closed.
    Cut,
    /// Everything. Then the connection is closed without reading the response.
    HangUp,
}

/// What the sender is able to do, which depends on its scheme and its settings.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(super) struct Abilities {
    /// The signature depends on the body.
    pub(super) signs_body: bool,
    /// The signature depends on the time.
    pub(super) signs_time: bool,
    /// The signature is not empty.
    pub(super) is_signed: bool,
    pub(super) has_second_secret: bool,
    /// A request can have several signatures.
    pub(super) lists_signatures: bool,
    pub(super) can_restart: bool,
    /// The length of a body over the limit of the receiver, in bytes.
    pub(super) oversized: usize,
}

/// Returns the steps of a fault, or the reason why it is not applicable.
pub(super) fn plan(
    fault: Fault,
    payloads: &Payloads,
    abilities: Abilities,
) -> Result<Vec<Step>, &'static str> {
    let needs = |met: bool, reason: &'static str| if met { Ok(()) } else { Err(reason) };
    let result = || Post::of(payloads.result().clone());
    let one = |post: Post| Step::Post(vec![post]);
    Ok(match fault {
        Fault::None => vec![one(result())],
        Fault::Duplicate => vec![one(result()), one(result())],
        Fault::ConcurrentDuplicate => vec![Step::Post(vec![result(); CONCURRENT])],
        Fault::Reordered => vec![one(Post::of(payloads.other().clone())), one(result())],
        Fault::LateOlderState => {
            let earlier = payloads.earlier_state().ok_or("the payload has no earlier state")?;
            vec![one(result()), one(Post::of(earlier.clone()))]
        }
        Fault::SlowBody => vec![one(Post { framing: Framing::Slow, ..result() })],
        Fault::CutBody => {
            let cut = Post { framing: Framing::Cut, expected: Expected::NoResponse, ..result() };
            vec![one(cut), one(result())]
        }
        Fault::HangUp => {
            let left =
                Post { framing: Framing::HangUp, expected: Expected::NoResponse, ..result() };
            vec![one(left), one(result())]
        }
        Fault::WrongSignature => {
            needs(abilities.signs_body, "the signature does not depend on the body")?;
            let signed = Some(payloads.other().clone());
            vec![one(Post { signed, expected: Expected::Rejected, ..result() })]
        }
        Fault::StaleSignature => {
            needs(abilities.signs_time, "the signature has no timestamp")?;
            let signing = Signing::Stale;
            vec![one(Post { signing, expected: Expected::Rejected, ..result() })]
        }
        Fault::RotatedSignature => {
            needs(abilities.has_second_secret, "there is no second secret")?;
            vec![one(Post { signing: Signing::Rotated, ..result() })]
        }
        Fault::OversizedBody => {
            let body = padded(payloads.result(), abilities.oversized);
            vec![one(Post { expected: Expected::TooLong, ..Post::of(body) })]
        }
        Fault::Gzip => {
            let expected = Expected::AcknowledgedOrRejected;
            let head = HeadChange::Gzip;
            vec![one(Post { head, expected, ..Post::of(gzip(payloads.result())) })]
        }
        Fault::UnknownValue => {
            let body = payloads.with_unknown_value().ok_or("the payload has no enumeration")?;
            vec![one(Post::of(body))]
        }
        Fault::UnknownMember => {
            let body = payloads.with_unknown_member().ok_or("the payload is not a JSON object")?;
            vec![one(Post::of(body))]
        }
        Fault::Restart => {
            needs(abilities.can_restart, "there is no hook that restarts the receiver")?;
            let other = Post::of(payloads.other().clone());
            vec![one(result()), Step::Restart, one(result()), one(other)]
        }
    })
}

impl Post {
    /// A request as specified, which a receiver acknowledges.
    pub(super) fn of(body: Bytes) -> Self {
        Self {
            body,
            signed: None,
            signing: Signing::Current,
            head: HeadChange::None,
            framing: Framing::Whole,
            expected: Expected::Acknowledged,
        }
    }
}

/// Returns the body with at least this length, in bytes: an object gets an undocumented member, and another body spaces at
/// its end.
pub(super) fn padded(body: &Bytes, length: usize) -> Bytes {
    let missing = length.saturating_sub(body.len());
    let mut padded = Vec::with_capacity(length.max(body.len()) + 32);
    match body.strip_suffix(b"}") {
        // The name comes after those of Mindee, so that a receiver that sorts members does not change the body.
        Some(members) if members.ends_with(b"}") => {
            padded.extend_from_slice(members);
            padded.extend_from_slice(b",\"simulated_padding\":\"");
            padded.resize(padded.len() + missing, b'a');
            padded.extend_from_slice(b"\"}");
        }
        _ => {
            padded.extend_from_slice(body);
            padded.resize(body.len() + missing, b' ');
        }
    }
    padded.into()
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Product;

    const ALL: Abilities = Abilities {
        signs_body: true,
        signs_time: true,
        is_signed: true,
        has_second_secret: true,
        lists_signatures: true,
        can_restart: true,
        oversized: 10_000,
    };

    const NONE: Abilities = Abilities {
        signs_body: false,
        signs_time: false,
        is_signed: false,
        has_second_secret: false,
        lists_signatures: false,
        can_restart: false,
        oversized: 0,
    };

    fn posts(fault: Fault, payloads: &Payloads) -> Vec<Post> {
        let steps = plan(fault, payloads, ALL).unwrap().into_iter();
        let posts = steps.flat_map(|step| match step {
            Step::Post(posts) => posts,
            Step::Restart => Vec::new(),
        });
        posts.collect()
    }

    #[test]
    fn faults_that_the_sender_cannot_make_are_not_applicable() {
        let bare = Payloads::new("[]", "[1]");
        let not_applicable: Vec<_> = Fault::ALL
            .iter()
            .filter(|fault| plan(**fault, &bare, NONE).is_err())
            .map(|fault| fault.name())
            .collect();
        let expected = [
            "late-older-state",
            "wrong-signature",
            "stale-signature",
            "rotated-signature",
            "unknown-value",
            "unknown-member",
            "restart",
        ];
        assert_eq!(not_applicable, expected);
        let payloads = Payloads::of_mindee(Product::Extraction);
        for fault in Fault::ALL {
            assert!(plan(*fault, &payloads, ALL).is_ok(), "{fault}");
        }
    }

    #[test]
    fn reordered_results_and_late_states_come_in_the_wrong_order() {
        let payloads = Payloads::of_mindee(Product::Extraction);
        let bodies = |fault| posts(fault, &payloads).into_iter().map(|post| post.body);
        let (result, other) = (payloads.result(), payloads.other());
        let earlier = payloads.earlier_state().unwrap();
        assert!(bodies(Fault::Reordered).eq([other.clone(), result.clone()]));
        assert!(bodies(Fault::LateOlderState).eq([result.clone(), earlier.clone()]));
    }

    #[test]
    fn request_after_a_fault_of_the_connection_has_the_same_body() {
        let payloads = Payloads::of_mindee(Product::Extraction);
        for fault in [Fault::CutBody, Fault::HangUp, Fault::Duplicate] {
            let posts = posts(fault, &payloads);
            assert_eq!(posts.len(), 2);
            assert!(posts.iter().all(|post| post.body == payloads.result()), "{fault}");
            assert_eq!(posts[1].expected, Expected::Acknowledged);
        }
    }

    #[test]
    fn oversized_body_is_the_result_with_one_more_member() {
        let payloads = Payloads::of_mindee(Product::Split);
        let body = posts(Fault::OversizedBody, &payloads).remove(0).body;
        assert!(body.len() >= 10_000 && body.len() < 10_100);
        let parse = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap();
        assert_eq!(parse(&body)["inference"], parse(payloads.result())["inference"]);
        assert_eq!(parse(&body).to_string().as_bytes(), body, "members are sorted");
        assert_eq!(padded(&Bytes::from_static(b"[]"), 4), "[]  ");
    }
}
