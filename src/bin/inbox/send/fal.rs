//! fal signs with a key, which takes feature `ed25519`.

use std::error::Error;

use tower_inbox::signature::Scheme;

use crate::given::Given;

/// fal's scheme with a private key: 64 hexadecimal digits, or base64 behind `whsk_`.
#[cfg(feature = "ed25519")]
pub(super) fn scheme(given: &Given) -> Result<Box<dyn Scheme>, Box<dyn Error>> {
    use tower_inbox::{provider::fal, signature::Ed25519Key};
    use zeroize::Zeroizing;

    let text = given.text();
    let key = if text.starts_with("whsk_") {
        Ed25519Key::from_whsk(text)
    } else {
        Ed25519Key::private(&Zeroizing::new(hex::decode(text).unwrap_or_default()))
    };
    let key = key.map_err(|_| {
        "--secret is no private Ed25519 key: give its 32 bytes in hexadecimal, or in base64 behind whsk_"
    })?;
    Ok(Box::new(fal::signature(key)))
}

#[cfg(not(feature = "ed25519"))]
pub(super) fn scheme(_: &Given) -> Result<Box<dyn Scheme>, Box<dyn Error>> {
    Err("fal signs with a key, which this inbox cannot: install it with --features cli,ed25519"
        .into())
}
