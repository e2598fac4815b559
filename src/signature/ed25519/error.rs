/// Why something is no Ed25519 key. Holds nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ed25519KeyError {
    /// The bytes are no public key, or one for which anybody could sign.
    #[error("this is not a public Ed25519 key: 32 bytes as RFC 8032 encodes a point are one")]
    Public,
    /// The bytes are no private key.
    #[error(
        "this is not a private Ed25519 key: 32 bytes of seed are one, and 64 bytes of seed and public key"
    )]
    Private,
    /// The text is not in the form in which such a key is shown.
    #[error("this is not a key: it is shown as {expected}")]
    #[non_exhaustive]
    Text {
        /// The form.
        expected: &'static str,
    },
    /// The text is no set of keys (RFC 7517).
    #[error("this is not a JSON Web Key Set: it reads {{\"keys\": […]}}")]
    Jwks,
    /// There are more keys in the set than a scheme tries.
    #[error(
        "there are more than {most} Ed25519 keys in this set; remove those that are no longer used"
    )]
    #[non_exhaustive]
    TooManyKeys {
        /// The maximum number of keys.
        most: usize,
    },
    /// There is no usable key in the set.
    #[error(
        "there is no Ed25519 key in this set: it needs one with `kty` OKP, `crv` Ed25519 and `x`"
    )]
    NoKey,
}
