use std::{error::Error, fmt, str::FromStr};

/// What a simulated sender does to a delivery.
///
/// Each fault has a name, by which it is parsed and displayed. A fault is *not applicable* if the sender lacks what it
/// needs: see [`Sender::run`](super::Sender::run).
///
/// ```
/// use tower_inbox::simulate::Fault;
///
/// assert_eq!("cut-body".parse(), Ok(Fault::CutBody));
/// assert_eq!(Fault::CutBody.to_string(), "cut-body");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// None: one post, as specified. Expected: 2xx.
    None,
    /// The same request twice, one after the other. Expected: 2xx for both.
    Duplicate,
    /// The same request four times at once. Expected: 2xx for all.
    ConcurrentDuplicate,
    /// Two results, the later one first. Expected: 2xx for both.
    Reordered,
    /// The result of a job, and then an earlier state of the same job. Expected: 2xx for both. Not applicable without an
    /// earlier state: see [`Payloads`](super::Payloads).
    LateOlderState,
    /// The body in eight parts with pauses. Expected: 2xx.
    SlowBody,
    /// Half of the body, after which the connection is closed; then the whole request again. Expected: 2xx for the
    /// second only.
    CutBody,
    /// The whole request; the connection is closed when the response begins, or after the
    /// [pause](super::Sender::pause), without reading it. Then the same request again. Expected: 2xx for the second.
    HangUp,
    /// The signature of another body. Expected: 4xx. Not applicable if the signature does not depend on the body, such
    /// as a token.
    WrongSignature,
    /// A signature that was made an hour ago. Expected: 4xx. Not applicable without a timestamp in the signature.
    StaleSignature,
    /// A signature with the second secret. Expected: 2xx. Not applicable without a second secret.
    RotatedSignature,
    /// A signed body that is longer than the limit of the receiver. Expected: 413, or a closed connection.
    OversizedBody,
    /// A gzip-encoded body. The signature covers the bytes as sent. Expected: 2xx or 4xx.
    Gzip,
    /// A value of an enumeration that is not documented. Expected: 2xx. Not applicable if the payload has no
    /// enumeration.
    UnknownValue,
    /// A member in each object that is not documented. Expected: 2xx. Not applicable unless the payload is a JSON object.
    UnknownMember,
    /// A result; then a restart of the receiver; then the same request, and another result. Expected: 2xx for all. Not
    /// applicable without a [hook](super::Sender::restart_with).
    Restart,
}

impl Fault {
    /// All faults, beginning with [`None`](Self::None).
    pub const ALL: &[Self] = &[
        Self::None,
        Self::Duplicate,
        Self::ConcurrentDuplicate,
        Self::Reordered,
        Self::LateOlderState,
        Self::SlowBody,
        Self::CutBody,
        Self::HangUp,
        Self::WrongSignature,
        Self::StaleSignature,
        Self::RotatedSignature,
        Self::OversizedBody,
        Self::Gzip,
        Self::UnknownValue,
        Self::UnknownMember,
        Self::Restart,
    ];

    /// Returns the name, such as `cut-body`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Duplicate => "duplicate",
            Self::ConcurrentDuplicate => "concurrent-duplicate",
            Self::Reordered => "reordered",
            Self::LateOlderState => "late-older-state",
            Self::SlowBody => "slow-body",
            Self::CutBody => "cut-body",
            Self::HangUp => "hang-up",
            Self::WrongSignature => "wrong-signature",
            Self::StaleSignature => "stale-signature",
            Self::RotatedSignature => "rotated-signature",
            Self::OversizedBody => "oversized-body",
            Self::Gzip => "gzip",
            Self::UnknownValue => "unknown-value",
            Self::UnknownMember => "unknown-member",
            Self::Restart => "restart",
        }
    }

    /// Returns a description of a few words, for help texts and tables.
    pub fn description(self) -> &'static str {
        match self {
            Self::None => "one post, as specified",
            Self::Duplicate => "the same request twice",
            Self::ConcurrentDuplicate => "the same request four times at once",
            Self::Reordered => "two results, the later one first",
            Self::LateOlderState => "an earlier state of the job after its result",
            Self::SlowBody => "the body in parts with pauses",
            Self::CutBody => "half of the body, then all of it",
            Self::HangUp => "no wait for the response, then the request again",
            Self::WrongSignature => "the signature of another body",
            Self::StaleSignature => "a signature made an hour ago",
            Self::RotatedSignature => "a signature with the second secret",
            Self::OversizedBody => "a body over the limit of the receiver",
            Self::Gzip => "a gzip-encoded body",
            Self::UnknownValue => "an undocumented value of an enumeration",
            Self::UnknownMember => "undocumented members",
            Self::Restart => "a restart of the receiver, then the request again",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    /// Parses a [name](Self::name).
    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.iter().copied().find(|fault| fault.name() == text);
        found.ok_or_else(|| UnknownFault { name: text.to_owned() })
    }
}

/// The text is not the name of a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault {
    name: String,
}

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        let names = names.join(", ");
        write!(f, "unknown fault '{}'; use one of {names}", self.name.escape_debug())
    }
}

impl Error for UnknownFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_parsed_from_its_name() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(*fault));
        }
        let error = "cut".parse::<Fault>().unwrap_err().to_string();
        assert!(error.starts_with("unknown fault 'cut'; use one of none, duplicate, "), "{error}");
    }

    #[test]
    fn list_of_faults_is_complete_and_names_are_distinct() {
        // `Restart` is the last variant: a new variant after it changes this number.
        assert_eq!(Fault::ALL.len(), Fault::Restart as usize + 1);
        for (number, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(*fault as usize, number);
        }
    }
}
