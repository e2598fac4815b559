use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::signature::{Place, Proof, Secret, SignatureError};

/// The proof that `sent` is one of `secrets`, each behind `before`.
pub(super) fn prove(
    scheme: &'static str,
    secrets: &[Secret],
    before: &[u8],
    sent: &[u8],
    place: &Place,
) -> Result<Proof, SignatureError> {
    if secrets.is_empty() {
        return Err(SignatureError::NoSecret { place: place.clone() });
    }
    // Digests have one length, so that the time says nothing about the length of the secret.
    let sent = Sha256::digest(sent);
    let digest = |secret: &Secret| {
        Sha256::new().chain_update(before).chain_update(secret.value()).finalize()
    };
    secrets
        .iter()
        .find(|secret| digest(secret).ct_eq(&sent).into())
        .map(|secret| Proof::new(scheme, secret.name(), "raw"))
        .ok_or_else(|| place.mismatch())
}
