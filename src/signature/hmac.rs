use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Secret;

/// An HMAC-SHA256 (RFC 2104).
pub(super) type Tag = [u8; 32];

/// The first of `keys` under which one of `sent` is the HMAC of `message`, whose parts stand one behind the other.
pub(super) fn signer_of<'k>(
    keys: &'k [Secret],
    message: &[&[u8]],
    sent: &[Tag],
) -> Option<&'k Secret> {
    keys.iter().find(|key| {
        let made = tag(key, message);
        made.is_some_and(|made| sent.iter().any(|sent| made.ct_eq(sent).into()))
    })
}

/// HMAC takes keys of any length, so that this is never `None`.
pub(super) fn tag(key: &Secret, message: &[&[u8]]) -> Option<Tag> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.value()).ok()?;
    for part in message {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_vector_matches() {
        // RFC 4231, test case 2.
        let made = tag(&Secret::new("Jefe"), &[b"what do ya want ", b"for nothing?"]).unwrap();
        assert_eq!(
            hex::encode(made),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
