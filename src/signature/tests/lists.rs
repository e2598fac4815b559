//! Heads that list many signatures: repeated ones count once, and the distinct ones are limited before the body is read.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, Request, request::Parts};

use crate::signature::{
    Encoding, HmacBody, HmacTemplate, Placement, Scheme, Secret, SignatureError, StandardWebhooks,
    place::MOST_HMACS,
};

const BODY: &[u8] = b"{}";

fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

/// A scheme that reads a list: the header, the separator, the prefix of each signature, how signatures are written,
/// their length, and how many distinct ones are allowed.
struct Listing {
    scheme: Box<dyn Scheme>,
    header: &'static str,
    separator: &'static str,
    prefix: &'static str,
    encoding: Encoding,
    length: usize,
    most: usize,
}

impl Listing {
    fn strangers(&self, number: usize) -> Vec<String> {
        let bytes = |number: usize| {
            let mut bytes = vec![0; self.length];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            bytes
        };
        let texts = (0..number).map(bytes).map(|bytes| self.encoding.encode(&bytes));
        texts.map(|text| format!("{}{text}", self.prefix)).collect()
    }

    /// A head that lists these before the signature of the sender.
    fn head(&self, before: &[String]) -> Parts {
        let mut head = Request::post("/a").body(()).unwrap().into_parts().0;
        self.scheme.signature("msg_1", BODY, at()).unwrap().add_to(&mut head).unwrap();
        let own = head.headers[self.header].to_str().unwrap().to_owned();
        let list: Vec<_> = before.iter().map(String::as_str).chain([own.as_str()]).collect();
        let list = HeaderValue::from_str(&list.join(self.separator)).unwrap();
        head.headers.insert(self.header, list);
        head
    }
}

fn listings() -> Vec<Listing> {
    let secret = || Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let body = HmacBody::new("x-signature", secret()).prefix("v1=").list();
    let place = Placement::list("x-signature", "t", "v0");
    let template = HmacTemplate::new("{timestamp}.{body}", place, secret());
    let (length, most) = (32, MOST_HMACS);
    let by_comma = |scheme, prefix| Listing {
        scheme,
        header: "x-signature",
        separator: ",",
        prefix,
        encoding: Encoding::Hex,
        length,
        most,
    };
    let mut listings = vec![
        by_comma(Box::new(body), "v1="),
        by_comma(Box::new(template), "v0="),
        Listing {
            scheme: Box::new(StandardWebhooks::new(secret())),
            header: "webhook-signature",
            separator: " ",
            prefix: "v1,",
            encoding: Encoding::Base64,
            length,
            most,
        },
    ];
    listings.extend(with_keys());
    listings
}

#[cfg(not(feature = "ed25519"))]
fn with_keys() -> Vec<Listing> {
    Vec::new()
}

#[cfg(feature = "ed25519")]
fn with_keys() -> Vec<Listing> {
    use crate::signature::{Ed25519Key, Ed25519Template, place::MOST_ED25519_SIGNATURES};

    let key = || Ed25519Key::private(&[7; 32]).unwrap();
    let place = Placement::list("x-signature", "t", "v0");
    let template = Ed25519Template::new("{timestamp}.{body}", place, key());
    let (length, most) = (64, MOST_ED25519_SIGNATURES);
    vec![
        Listing {
            scheme: Box::new(template),
            header: "x-signature",
            separator: ",",
            prefix: "v0=",
            encoding: Encoding::Hex,
            length,
            most,
        },
        Listing {
            scheme: Box::new(StandardWebhooks::with_keys(key())),
            header: "webhook-signature",
            separator: " ",
            prefix: "v1a,",
            encoding: Encoding::Base64,
            length,
            most,
        },
    ]
}

#[test]
fn too_many_distinct_signatures_are_rejected_by_the_head_alone() {
    for listing in listings() {
        let (scheme, most) = (&listing.scheme, listing.most);
        let head = listing.head(&listing.strangers(4000));
        for rejected in [scheme.check_head(&head, at()), scheme.verify(&head, BODY, at()).map(drop)]
        {
            let is_counted = matches!(rejected, Err(SignatureError::TooMany { most: limit, .. }) if limit == most);
            assert!(is_counted, "{scheme:?}: {rejected:?}");
        }
        let error = scheme.check_head(&head, at()).unwrap_err().to_string();
        assert!(error.contains(&format!("more than {most} distinct signatures")), "{error}");
    }
}

#[test]
fn matching_signature_can_be_the_last_allowed_one() {
    for listing in listings() {
        let scheme = &listing.scheme;
        let head = listing.head(&listing.strangers(listing.most - 1));
        assert_eq!(scheme.check_head(&head, at()), Ok(()), "{scheme:?}");
        assert!(scheme.verify(&head, BODY, at()).is_ok(), "{scheme:?}");
        let head = listing.head(&listing.strangers(listing.most));
        assert!(scheme.check_head(&head, at()).is_err(), "{scheme:?}");
    }
}

#[test]
fn repeated_signatures_and_unknown_versions_do_not_count() {
    for listing in listings() {
        let scheme = &listing.scheme;
        let stranger = listing.strangers(1);
        let unknown = (0..2000).map(|number| format!("v9,{number}"));
        let list: Vec<_> = stranger.iter().cloned().cycle().take(2000).chain(unknown).collect();
        let head = listing.head(&list);
        assert_eq!(scheme.check_head(&head, at()), Ok(()), "{scheme:?}");
        assert!(scheme.verify(&head, BODY, at()).is_ok(), "{scheme:?}");
    }
}

#[cfg(feature = "ed25519")]
#[test]
fn a_key_set_that_is_too_large_is_rejected() {
    use crate::signature::{Ed25519Key, Ed25519KeyError, Ed25519Keys, SchemeError};

    let keys = |number: u8| (1..=number).map(|seed| Ed25519Key::private(&[seed; 32]).unwrap());
    let check = |number| StandardWebhooks::with_keys(Ed25519Keys::new(keys(number))).check();
    assert_eq!((check(16), check(17)), (Ok(()), Err(SchemeError::TooManyKeys { most: 16 })));
    let set = Ed25519Keys::new(keys(1));
    let too_many = Err(Ed25519KeyError::TooManyKeys { most: 16 });
    assert_eq!((set.replace(keys(17)), set.replace(keys(16))), (too_many.clone(), Ok(())));
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let jwks = |number| format!(r#"{{"keys": [{}]}}"#, vec![key; number].join(","));
    assert_eq!(Ed25519Key::from_jwks(&jwks(17)).map(drop), too_many);
    assert_eq!(Ed25519Key::from_jwks(&jwks(16)).map(|keys| keys.len()), Ok(16));
}
