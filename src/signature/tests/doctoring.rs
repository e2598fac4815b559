use std::time::{Duration, SystemTime};

use http::{HeaderName, Request, request::Parts};

use crate::signature::{
    Encoding, HeaderToken, HmacBody, HmacTemplate, KeyEncoding, Placement, QueryToken, Scheme,
    Secret, StandardWebhooks, TimeUnit, Unsigned,
    doctor::{BodyChange, Difference, Finding, examine},
};

const HEADER: HeaderName = HeaderName::from_static("x-signature");
const SECRET: &str = "bm8gc2VjcmV0IGF0IGFsbA==";

fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

fn plain(secret: &str) -> HmacBody {
    HmacBody::new(HEADER, Secret::new(secret))
}

fn signed_by(sender: &dyn Scheme, body: &[u8], at: SystemTime) -> Parts {
    let mut head = Request::post("/a").body(()).unwrap().into_parts().0;
    sender.signature("msg_1", body, at).unwrap().add_to(&mut head).unwrap();
    head
}

/// Returns the finding if `sender` signed `signed`, and `scheme` received `received`.
fn found(
    sender: &dyn Scheme,
    signed: &[u8],
    scheme: &dyn Scheme,
    received: &[u8],
) -> Vec<Difference> {
    let head = signed_by(sender, signed, at());
    let findings = examine(scheme, &head, received, at());
    assert!(findings.len() <= 1, "{findings:?}");
    findings.first().map(|finding| finding.differences().to_vec()).unwrap_or_default()
}

#[test]
fn form_of_the_signed_body_is_found() {
    let found =
        |signed: &[u8], received: &[u8]| found(&plain(SECRET), signed, &plain(SECRET), received);
    assert_eq!(found(b"{\n}", b"{\n}\r\n"), [Difference::Body(BodyChange::WithoutLastLineBreak)]);
    assert_eq!(found(b"{}\n", b"{}"), [Difference::Body(BodyChange::WithLastLineFeed)]);
    assert_eq!(found(b"{}", b"{\r\n}\n"), [Difference::Body(BodyChange::WithoutLineBreaks)]);
}

#[test]
fn body_that_was_compressed_after_signing_is_found() {
    let zip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, bytes).unwrap();
        gzip.finish().unwrap()
    };
    let found =
        |signed: &[u8], received: &[u8]| found(&plain(SECRET), signed, &plain(SECRET), received);
    assert_eq!(found(b"{}", &zip(b"{}")), [Difference::Body(BodyChange::Unzipped)]);
    let deflate = |bytes: &[u8]| {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut zlib, bytes).unwrap();
        zlib.finish().unwrap()
    };
    assert_eq!(found(b"{}", &deflate(b"{}")), [Difference::Body(BodyChange::Unzipped)]);
    assert_eq!(found(b"{}", &deflate(b"{}")[2..]), [Difference::Body(BodyChange::Unzipped)]);
    assert_eq!(found(&zip(b"{}"), b"{}"), []);
    assert_eq!(found(&zip(b"{}"), &zip(b"{}")), [], "as it was");
}

#[test]
fn wrong_secret_settings_are_found() {
    let expired = HmacBody::new(HEADER, Secret::new(SECRET).named("old").valid(..at()));
    let found = |sender: HmacBody, scheme: HmacBody| found(&sender, b"{}", &scheme, b"{}");
    assert_eq!(found(plain(SECRET), expired), [Difference::SecretNotValid]);
    assert_eq!(found(plain("a"), plain(" a\n")), [Difference::SecretTrimmed]);
    let base64 = KeyEncoding::Base64;
    let prefixed = KeyEncoding::Base64After("whsec_");
    assert_eq!(found(plain(SECRET).key(base64), plain(SECRET)), [Difference::Key(prefixed)]);
    let text = [Difference::Key(KeyEncoding::Text)];
    assert_eq!(found(plain(SECRET), plain(SECRET).key(base64)), text);
    let sender = plain("whsec_AAAA").key(prefixed);
    assert_eq!(found(sender, plain("whsec_AAAA")), [Difference::Key(prefixed)]);
}

#[test]
fn wrong_header_and_encoding_are_found() {
    let header = HeaderName::from_static("x-bfl-signature");
    let sender = HmacBody::new(header.clone(), Secret::new("a")).prefix("sha256=");
    let expected = Difference::Header { header, prefix: "sha256=" };
    assert_eq!(found(&sender, b"{}", &plain("a"), b"{}"), [expected]);
    let sender = plain("a").encoding(Encoding::Base64);
    let expected = [Difference::Encoding(Encoding::Base64)];
    assert_eq!(found(&sender, b"{}", &plain("a"), b"{}"), expected);
    let sender = StandardWebhooks::new(Secret::new(SECRET)).svix();
    let header = HeaderName::from_static("svix-signature");
    let expected = [Difference::Header { header, prefix: "" }];
    let scheme = StandardWebhooks::new(Secret::new(SECRET));
    assert_eq!(found(&sender, b"{}", &scheme, b"{}"), expected);
}

#[test]
fn missing_or_differently_cased_prefix_is_found() {
    let with = |prefix: &'static str| plain("a").prefix(prefix);
    let found = |sender: HmacBody, scheme: HmacBody| found(&sender, b"{}", &scheme, b"{}");
    let prefix = |prefix: &'static str| [Difference::Prefix(prefix.into())];
    assert_eq!(found(with(""), with("sha256=")), prefix(""));
    assert_eq!(found(with("sha256="), with("SHA256=")), prefix("sha256="));
    assert_eq!(found(with("SHA256="), with("sha256=")), prefix("SHA256="));
    assert_eq!(found(with("V1="), with("v1=")), prefix("V1="));
    let scheme = |prefix: &'static str| {
        let placement = Placement::headers("x-sent-signature", "x-sent-at").prefix(prefix);
        HmacTemplate::new("{timestamp}.{body}", placement, Secret::new("a"))
    };
    let head = signed_by(&scheme("sha256="), b"{}", at());
    let findings = examine(&scheme(""), &head, b"{}", at());
    assert_eq!(findings[0].differences(), prefix("sha256="));
    let expected = "secret main would match if the signature had the prefix sha256=";
    assert_eq!(findings[0].to_string(), expected);
    let rotating = HmacBody::new(HEADER, [Secret::new("b"), Secret::new("a")]).prefix("v1=").list();
    assert_eq!(found(rotating, with("v1=")), [Difference::List]);
}

#[test]
fn timestamped_signature_in_headers_of_well_known_senders_is_found() {
    let template = |placement| HmacTemplate::new("{timestamp}.{body}", placement, Secret::new("a"));
    let own = Placement::headers(HEADER, HeaderName::from_static("x-sent-at"));
    let listed = HeaderName::from_static("elevenlabs-signature");
    let (signature, time) = (
        HeaderName::from_static("x-slack-signature"),
        HeaderName::from_static("x-slack-request-timestamp"),
    );
    for (sender, header, prefix) in [
        (Placement::list(listed.clone(), "t", "v0"), listed, ""),
        (Placement::headers(signature.clone(), time).prefix("v0="), signature, "v0="),
    ] {
        let expected = [Difference::Header { header, prefix }];
        let found = found(&template(sender), b"{}", &template(own.clone()), b"{}");
        assert_eq!(found, expected);
    }
}

#[test]
fn token_in_another_header_or_parameter_is_found() {
    let secret = || Secret::new("a");
    let expected = HeaderToken::new(HEADER, secret());
    let header = HeaderName::from_static("x-webhook-secret");
    let sender = HeaderToken::new(header.clone(), secret());
    let found_there = found(&sender, b"{}", &expected, b"{}");
    assert_eq!(found_there, [Difference::Header { header, prefix: "" }]);
    let header = http::header::AUTHORIZATION;
    let found_there = found(&HeaderToken::bearer(secret()), b"{}", &expected, b"{}");
    assert_eq!(found_there, [Difference::Header { header, prefix: "Bearer " }]);
    let (expected, sender) =
        (QueryToken::new("hook", secret()), QueryToken::new("ticket", secret()));
    assert_eq!(found(&sender, b"{}", &expected, b"{}"), [Difference::Parameter("ticket")]);
}

#[test]
fn stale_timestamp_is_found() {
    let template = |unit| {
        let placement = Placement::list(HEADER, "t", "v0");
        HmacTemplate::new("{timestamp}.{body}", placement, Secret::new("a")).unit(unit)
    };
    let webhooks = StandardWebhooks::new(Secret::new(SECRET));
    let schemes: [&dyn Scheme; 2] = [&webhooks, &template(TimeUnit::Seconds)];
    for scheme in schemes {
        let head = signed_by(scheme, b"{}", at() - Duration::from_secs(60 * 60));
        let findings = examine(scheme, &head, b"{}", at());
        assert_eq!(findings[0].differences(), [Difference::Time]);
    }
    let head = signed_by(&template(TimeUnit::Millis), b"{}", at());
    let findings = examine(&template(TimeUnit::Seconds), &head, b"{}", at());
    let differences: Vec<_> = findings.iter().flat_map(Finding::differences).collect();
    assert!(differences.contains(&&Difference::Unit(TimeUnit::Millis)), "{differences:?}");
}

#[test]
fn combinations_are_found_and_those_with_fewest_differences_returned() {
    let head = signed_by(&plain("a"), b"{}", at());
    let findings = examine(&plain("a "), &head, b"{\n}", at());
    let trimmed = Difference::SecretTrimmed;
    let body = Difference::Body(BodyChange::WithoutLineBreaks);
    assert_eq!(findings[0].differences(), [trimmed, body]);
    assert_eq!(
        findings[0].to_string(),
        "secret main would match without the white space around it, and without the line breaks of the body"
    );
}

#[test]
fn swapped_secret_is_found_with_the_other_scheme() {
    let head = signed_by(&plain("a"), b"{}", at());
    assert!(examine(&plain("b"), &head, b"{}", at()).is_empty());
    let findings = examine(&plain("a"), &head, b"{}", at());
    assert_eq!(findings.len(), 1);
    assert!(findings[0].differences().is_empty());
    assert_eq!(findings[0].to_string(), "secret main matches");
}

#[test]
fn token_with_white_space_is_found() {
    let head = Request::post("/a?ticket=a").body(()).unwrap().into_parts().0;
    let scheme = QueryToken::new("ticket", Secret::new("a\n"));
    assert!(scheme.verify(&head, b"", at()).is_err());
    let findings = examine(&scheme, &head, b"", at());
    assert_eq!(findings[0].differences(), [Difference::SecretTrimmed]);
}

#[test]
fn findings_show_no_secret() {
    let scheme = plain("HUNTER2 ");
    let head = signed_by(&plain("HUNTER2"), b"{}", at());
    let findings = examine(&scheme, &head, b"{}", at());
    let shown = format!("{findings:?} {} {:?}", findings[0], scheme.variants());
    assert!(!shown.contains("HUNTER"), "{shown}");
    assert_eq!(examine(&Unsigned, &head, b"{}", at()).len(), 1);
}
