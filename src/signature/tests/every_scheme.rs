//! What providers' pages and RFCs print, and the twins of each that must be refused.

use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue, Request, Uri, request::Parts};
use proptest::{collection::vec, prelude::*};

use crate::signature::{
    BasicAuth, Encoding, HeaderToken, HmacBody, HmacTemplate, KeyEncoding, Placement, QueryToken,
    Scheme, Secret, SecretSet, StandardWebhooks,
};

const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");

fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

/// The schemes that sign the body.
fn signing(secrets: &SecretSet) -> Vec<Box<dyn Scheme>> {
    let body = || HmacBody::new(SIGNATURE, secrets.clone());
    let template =
        |placement| HmacTemplate::new("{x-id}.{timestamp}.{body}", placement, secrets.clone());
    let mut schemes: Vec<Box<dyn Scheme>> = vec![
        Box::new(body()),
        Box::new(body().prefix("v1=").list()),
        Box::new(body().encoding(Encoding::Base64).key(KeyEncoding::Base64)),
        Box::new(StandardWebhooks::new(secrets.clone())),
        Box::new(StandardWebhooks::new(secrets.clone()).svix()),
        Box::new(template(Placement::headers(SIGNATURE, TIMESTAMP).prefix("sha256="))),
        Box::new(template(Placement::list(SIGNATURE, "t", "v0")).encoding(Encoding::Base64)),
    ];
    schemes.extend(with_keys());
    schemes
}

#[cfg(feature = "ed25519")]
fn with_keys() -> Vec<Box<dyn Scheme>> {
    use crate::signature::{Ed25519Key, Ed25519Template};

    let key = || Ed25519Key::private(&[7; 32]).unwrap();
    let placement = Placement::headers(SIGNATURE, TIMESTAMP);
    vec![
        Box::new(Ed25519Template::new("{x-id}\n{timestamp}\n{body-sha256}", placement, key())),
        Box::new(StandardWebhooks::with_keys(key())),
    ]
}

#[cfg(not(feature = "ed25519"))]
fn with_keys() -> Vec<Box<dyn Scheme>> {
    Vec::new()
}

fn tokens(secrets: &SecretSet) -> Vec<Box<dyn Scheme>> {
    vec![
        Box::new(QueryToken::new("ticket", secrets.clone())),
        Box::new(HeaderToken::new(SIGNATURE, secrets.clone())),
        Box::new(HeaderToken::bearer(secrets.clone())),
        Box::new(BasicAuth::new("user", secrets.clone())),
    ]
}

fn all(secrets: &SecretSet) -> Vec<Box<dyn Scheme>> {
    let mut schemes = signing(secrets);
    schemes.extend(tokens(secrets));
    schemes
}

fn secrets() -> SecretSet {
    Secret::new("bm8gc2VjcmV0IGF0IGFsbA").into()
}

fn head() -> Parts {
    Request::post("/a?b=c").body(()).unwrap().into_parts().0
}

fn signed_by(scheme: &dyn Scheme, body: &[u8]) -> Parts {
    let mut head = head();
    scheme.signature("msg_1", body, at()).unwrap().add_to(&mut head).unwrap();
    head
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn signed_request_is_accepted_and_one_with_a_flipped_bit_is_rejected(
        body in vec(any::<u8>(), 1..200),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut flipped = body.clone();
        flipped[place.index(body.len())] ^= 1_u8 << bit;
        for scheme in signing(&secrets()) {
            let head = signed_by(&*scheme, &body);
            prop_assert_eq!(scheme.verify(&head, &body, at()).map(|_| ()), Ok(()), "{:?}", scheme);
            prop_assert!(scheme.verify(&head, &flipped, at()).is_err(), "{:?}", scheme);
        }
    }

    #[test]
    fn arbitrary_header_values_neither_panic_nor_are_accepted(
        values in vec(vec(any::<u8>(), 0..80), 9),
        body in vec(any::<u8>(), 0..20),
    ) {
        for scheme in all(&secrets()) {
            let mut head = signed_by(&*scheme, &body);
            let names: Vec<_> = head.headers.keys().cloned().collect();
            for (name, value) in names.iter().zip(&values) {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    head.headers.insert(name, value);
                }
            }
            head.uri = Uri::from_static("/a?ticket=%ff%00");
            let accepted = scheme.verify(&head, &body, at()).is_ok();
            prop_assert!(!accepted || head.headers == signed_by(&*scheme, &body).headers);
        }
    }

    #[test]
    fn missing_or_changed_part_of_a_signature_is_rejected(place in any::<prop::sample::Index>()) {
        for scheme in signing(&secrets()) {
            let head = signed_by(&*scheme, b"{}");
            for (name, value) in &head.headers {
                // Digits and hexadecimal digits become others, signs and letters of base64 too.
                let mut bytes = value.as_bytes().to_vec();
                let place = place.index(bytes.len());
                bytes[place] = if bytes[place] == b'1' { b'2' } else { b'1' };
                let mut changed = head.clone();
                changed.headers.insert(name, HeaderValue::from_bytes(&bytes).unwrap());
                prop_assert!(scheme.verify(&changed, b"{}", at()).is_err(), "{:?} {}", scheme, name);
                let mut missing = head.clone();
                missing.headers.remove(name);
                prop_assert!(scheme.verify(&missing, b"{}", at()).is_err(), "{:?} {}", scheme, name);
                let mut twice = head.clone();
                twice.headers.append(name, value.clone());
                prop_assert!(scheme.verify(&twice, b"{}", at()).is_err(), "{:?} {}", scheme, name);
            }
        }
    }
}

#[test]
fn exact_token_is_accepted_and_any_other_is_rejected() {
    let stranger = SecretSet::from(Secret::new("another"));
    for (scheme, stranger) in tokens(&secrets()).iter().zip(tokens(&stranger)) {
        let head = signed_by(&**scheme, b"");
        assert!(scheme.verify(&head, b"any body", at()).is_ok(), "{scheme:?}");
        assert!(stranger.verify(&head, b"any body", at()).is_err(), "{scheme:?}");
        assert!(scheme.verify(&self::head(), b"any body", at()).is_err(), "{scheme:?}");
    }
}

#[test]
fn empty_secret_is_an_error_of_check_and_accepts_nothing() {
    let empty = SecretSet::from(Secret::new(""));
    let unchecked = SecretSet::resolved_by(|_| vec![Secret::new("")]);
    let by_secret = |schemes: Vec<Box<dyn Scheme>>| {
        let keyed = with_keys().len();
        schemes.into_iter().enumerate().filter(move |(at, _)| !(7..7 + keyed).contains(at))
    };
    for (_, scheme) in by_secret(all(&empty)) {
        assert!(scheme.check().is_err(), "{scheme:?}");
        assert!(scheme.signature("msg_1", b"", at()).is_err(), "{scheme:?}");
    }
    let guesses = all(&Secret::new("AAAA").into());
    for ((_, scheme), (_, guess)) in by_secret(all(&unchecked)).zip(by_secret(guesses)) {
        let mut head = signed_by(&*guess, b"");
        assert!(scheme.verify(&head, b"", at()).is_err(), "{scheme:?}");
        head.uri = Uri::from_static("/a?ticket=");
        for value in head.headers.values_mut() {
            *value = HeaderValue::from_static("");
        }
        assert!(scheme.verify(&head, b"", at()).is_err(), "{scheme:?}");
    }
}

#[test]
fn secrets_are_resolved_for_each_request() {
    let by_path = SecretSet::resolved_by(|head| match head.uri.path() {
        "/a" => vec![Secret::new("bm8gc2VjcmV0IGF0IGFsbA").named("job-a")],
        _ => Vec::new(),
    });
    for (resolved, fixed) in all(&by_path).iter().zip(all(&secrets())).take(7) {
        let mut head = signed_by(&*fixed, b"{}");
        let proof = resolved.verify(&head, b"{}", at()).unwrap();
        assert_eq!(proof.secret(), "job-a", "{resolved:?}");
        head.uri = Uri::from_static("/b");
        assert!(resolved.verify(&head, b"{}", at()).is_err(), "{resolved:?}");
    }
}

#[test]
fn debug_and_errors_contain_no_secret_and_no_part_of_the_request() {
    let secrets = SecretSet::from(Secret::new("HUNTER2"));
    for scheme in all(&secrets) {
        let mut head = head();
        head.uri = Uri::from_static("/a?ticket=HUNTER3");
        for name in ["x-signature", "x-timestamp", "authorization", "webhook-id", "svix-id"] {
            head.headers.insert(name, HeaderValue::from_static("HUNTER3"));
        }
        let error = scheme.verify(&head, b"HUNTER3", at()).unwrap_err();
        let shown = format!("{scheme:?} {error:?} {error}");
        assert!(!shown.contains("HUNTER"), "{shown}");
        let signature = scheme.signature("msg_1", b"", at());
        assert!(!format!("{signature:?}").contains("HUNTER"), "{signature:?}");
    }
}

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

// RFC 4231, test case 2.
const KEY: &str = "Jefe";
const BODY: &[u8] = b"what do ya want for nothing?";
const HEX: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
const BASE64: &str = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";

fn scheme(header: &'static str, key: &str) -> HmacBody {
    let scheme = HmacBody::new(HeaderName::from_static(header), Secret::new(key));
    match header {
        "x-baseten-signature" => scheme.prefix("v1=").list(),
        "x-microsoftspeechservices-signature" => scheme.encoding(Encoding::Base64),
        "x-signature" | "x-mindee-hmac-signature" | "x-vapi-signature" => scheme,
        _ => scheme.prefix("sha256="),
    }
}

fn signed_head(header: &str, values: &[&str]) -> Parts {
    let request = Request::post("/a");
    let request = values.iter().fold(request, |request, value| request.header(header, *value));
    request.body(()).unwrap().into_parts().0
}

#[test]
fn rfc_vector_is_accepted_in_the_format_of_each_provider_only() {
    let other = HEX.replace('5', "6");
    for (header, value) in [
        ("x-signature", HEX.to_owned()),
        ("x-signature", HEX.to_uppercase()),
        ("x-mindee-hmac-signature", HEX.to_owned()),
        ("x-vapi-signature", HEX.to_owned()),
        ("x-baseten-signature", format!("v1={HEX}")),
        ("x-baseten-signature", format!("v1={other},v1={HEX}")),
        ("x-bfl-signature", format!("sha256={HEX}")),
        ("x-vlmrun-signature", format!("sha256={HEX}")),
        ("lc-signature", format!("sha256={HEX}")),
        ("x-rossum-signature-sha256", format!("sha256={HEX}")),
        // Flinks writes upper case and asks for a comparison without case.
        ("flinks-signature", format!("sha256={}", HEX.to_uppercase())),
        ("x-microsoftspeechservices-signature", BASE64.to_owned()),
    ] {
        let signed = signed_head(header, &[&value]);
        assert!(scheme(header, KEY).verify(&signed, BODY, NOW).is_ok(), "{header}: {value}");
        assert!(scheme(header, "jefe").verify(&signed, BODY, NOW).is_err(), "{header}");
        assert!(scheme(header, KEY).verify(&signed, &BODY[1..], NOW).is_err(), "{header}");
        let twice = signed_head(header, &[&value, &value]);
        assert!(scheme(header, KEY).verify(&twice, BODY, NOW).is_err(), "{header}");
        assert!(
            scheme(header, KEY).verify(&signed_head(header, &[]), BODY, NOW).is_err(),
            "{header}"
        );
        assert!(
            scheme(header, KEY).verify(&signed_head(header, &[""]), BODY, NOW).is_err(),
            "{header}"
        );
    }
}

#[test]
fn whsec_secret_is_text_with_text_key_encoding() {
    // Baseten's page: the key is the whole secret, with its prefix.
    let secret = "whsec_SmVmZQ==";
    let scheme = scheme("x-baseten-signature", secret);
    let tag = scheme.sign(BODY).unwrap();
    assert_ne!(tag, format!("v1={HEX}"));
    assert!(scheme.verify(&signed_head("x-baseten-signature", &[&tag]), BODY, NOW).is_ok());
}
