//! What providers' pages and RFCs print, and the twins of each that must be refused.

use std::time::SystemTime;

use http::{HeaderName, Request, request::Parts};

use crate::signature::{Encoding, HmacBody, Scheme, Secret};

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

fn head(header: &str, values: &[&str]) -> Parts {
    let request = Request::post("/a");
    let request = values.iter().fold(request, |request, value| request.header(header, *value));
    request.body(()).unwrap().into_parts().0
}

#[test]
fn the_vector_of_the_rfc_is_accepted_in_the_form_of_each_provider_and_its_twins_are_not() {
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
        let signed = head(header, &[&value]);
        assert!(scheme(header, KEY).verify(&signed, BODY, NOW).is_ok(), "{header}: {value}");
        assert!(scheme(header, "jefe").verify(&signed, BODY, NOW).is_err(), "{header}");
        assert!(scheme(header, KEY).verify(&signed, &BODY[1..], NOW).is_err(), "{header}");
        let twice = head(header, &[&value, &value]);
        assert!(scheme(header, KEY).verify(&twice, BODY, NOW).is_err(), "{header}");
        assert!(scheme(header, KEY).verify(&head(header, &[]), BODY, NOW).is_err(), "{header}");
        assert!(scheme(header, KEY).verify(&head(header, &[""]), BODY, NOW).is_err(), "{header}");
    }
}

#[test]
fn a_secret_that_begins_with_whsec_is_text_where_the_scheme_says_text() {
    // Baseten's page: the key is the whole secret, with its prefix.
    let secret = "whsec_SmVmZQ==";
    let scheme = scheme("x-baseten-signature", secret);
    let tag = scheme.sign(BODY).unwrap();
    assert_ne!(tag, format!("v1={HEX}"));
    assert!(scheme.verify(&head("x-baseten-signature", &[&tag]), BODY, NOW).is_ok());
}
