//! Verifies an arbitrary head and body with every scheme and every provider's signature.
//!
//! Checks that only requests from a holder of the secret are accepted, that checking the head alone rejects nothing
//! that full verification accepts, and that no token reaches the stored head or an error.
//!
//! Input format: the scheme, flags (see [`Case`]), the request target, one line for each change to the head, an empty
//! line, and the body.
#![no_main]

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, request::Parts};
use libfuzzer_sys::fuzz_target;
use tower_inbox::{
    Delivery, DeliveryId, Secret,
    provider::{
        SignedProvider, baseten, bfl, elevenlabs, extend, fal, gemini, llamacloud, mindee, mindee_v1,
        openai, recall, reducto, replicate, rossum, standard, vlmrun,
    },
    signature::{
        BasicAuth, BodyForm, Ed25519Key, Ed25519Template, Encoding, HeaderToken, HmacBody,
        HmacTemplate, KeyEncoding, Placement, Proof, QueryToken, Scheme, StandardWebhooks,
        TimeUnit, doctor,
    },
};

/// The secret of signing schemes, and the token of token schemes.
const TOKEN: &str = "bm8gc2VjcmV0IGF0IGFsbA";

/// `user:` and the token in base64. The length is a multiple of three bytes, so the encoding is unique.
const USER_AND_TOKEN: &str = "dXNlcjpibThnYzJWamNtVjBJR0YwSUdGc2JB";

/// A secret that never signs: a request that verifies with it is forged.
const UNUSED: &str = "YW5vdGhlciBzZWNyZXQgIQ";

fuzz_target!(|input: &[u8]| {
    if let Some(case) = Case::read(input) {
        case.check();
    }
});

struct Entry {
    scheme: Box<dyn Scheme>,
    /// The credentials of a token scheme, as sent. Empty for signing schemes.
    tokens: &'static [&'static str],
}

impl Entry {
    fn is_token(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Returns true if the target or a header contains a token of the scheme.
    fn token_is_in(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let texts = texts_of(uri, headers);
        self.tokens.iter().any(|token| texts.iter().any(|text| contains(text, token)))
    }
}

/// Returns all schemes, with the signing secret if `signing`, otherwise with the unused one.
fn schemes(signing: bool) -> &'static [Entry] {
    static SIGNING: OnceLock<Vec<Entry>> = OnceLock::new();
    static OTHERS: OnceLock<Vec<Entry>> = OnceLock::new();
    if signing {
        SIGNING.get_or_init(|| all(TOKEN, Ed25519Key::private(&[7; 32]).unwrap()))
    } else {
        OTHERS.get_or_init(|| all(UNUSED, Ed25519Key::private(&[9; 32]).unwrap()))
    }
}

fn all(secret: &str, key: Ed25519Key) -> Vec<Entry> {
    let signing = own(secret, key).into_iter().chain(of_providers(secret));
    let mut entries: Vec<_> = signing.map(|scheme| Entry { scheme, tokens: &[] }).collect();
    // The input may contain a valid token: possession of the token is the only proof.
    let token = || Secret::new(TOKEN);
    let tokens: [Box<dyn Scheme>; 4] = [
        Box::new(QueryToken::new("ticket", token())),
        Box::new(HeaderToken::new("x-hook", token())),
        Box::new(HeaderToken::new("x-hook", token()).prefix("Key ")),
        Box::new(HeaderToken::bearer(token())),
    ];
    entries.extend(tokens.into_iter().map(|scheme| Entry { scheme, tokens: &[TOKEN] }));
    let scheme = Box::new(BasicAuth::new("user", token()));
    entries.push(Entry { scheme, tokens: &[TOKEN, USER_AND_TOKEN] });
    entries.iter().for_each(|entry| entry.scheme.check().unwrap());
    entries
}

fn own(secret: &str, key: Ed25519Key) -> Vec<Box<dyn Scheme>> {
    let secret = || Secret::new(secret);
    let body = || HmacBody::new("x-signature", secret());
    let by_headers = || Placement::headers("x-signature", "x-timestamp").prefix("sha256=");
    let by_list = || Placement::list("x-signature", "t", "v0");
    let template = |place| HmacTemplate::new("{x-id}.{timestamp}.{body}", place, secret());
    vec![
        Box::new(body()),
        Box::new(body().prefix("v1=").list()),
        Box::new(body().encoding(Encoding::Base64).key(KeyEncoding::Base64)),
        Box::new(body().form(BodyForm::RawOrWithoutLineBreaks)),
        Box::new(template(by_headers())),
        Box::new(template(by_headers()).unit(TimeUnit::Millis).message_id("x-id")),
        Box::new(template(by_list()).encoding(Encoding::Base64)),
        Box::new(StandardWebhooks::new(secret())),
        Box::new(StandardWebhooks::new(secret()).svix()),
        Box::new(StandardWebhooks::with_keys(key.clone())),
        Box::new(StandardWebhooks::new(secret()).or_keys(key.clone())),
        Box::new(Ed25519Template::new("{timestamp}.{body}", by_list(), key.clone())),
        Box::new(Ed25519Template::new(
            "{x-id}\n{body-sha256}{timestamp}",
            by_headers(),
            key.clone(),
        )),
        Box::new(fal::signature(key)),
    ]
}

fn of_providers(secret: &str) -> Vec<Box<dyn Scheme>> {
    fn of<P: SignedProvider>(secret: &str) -> Box<dyn Scheme> {
        Box::new(P::scheme(Secret::new(secret).into()))
    }
    let of_each = [
        of::<baseten::Baseten>,
        of::<bfl::Bfl>,
        of::<elevenlabs::ElevenLabs>,
        of::<extend::Extend>,
        of::<gemini::Gemini>,
        of::<llamacloud::LlamaCloud>,
        of::<mindee::Mindee>,
        of::<mindee_v1::MindeeV1>,
        of::<openai::OpenAi>,
        of::<recall::Recall>,
        of::<reducto::Reducto>,
        of::<replicate::Replicate>,
        of::<rossum::Rossum>,
        of::<standard::Standard>,
        of::<vlmrun::VlmRun>,
    ];
    // The format in which these providers issue secrets.
    let secret = format!("whsec_{secret}");
    of_each.into_iter().map(|of| of(&secret)).collect()
}

struct Case<'i> {
    entry: &'static Entry,
    /// Flag 1: a holder of the secret signed the request before its head was changed.
    is_signed: bool,
    /// Flag 2: the body differs from the signed one. Flag 4: a line feed is appended to the body.
    flags: u8,
    target: &'i [u8],
    changes: Vec<&'i [u8]>,
    body: &'i [u8],
}

impl<'i> Case<'i> {
    fn read(input: &'i [u8]) -> Option<Self> {
        let (&[which, flags], rest) = input.split_first_chunk()?;
        let end = rest.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = end.map_or((rest, &b""[..]), |at| (&rest[..at], &rest[at + 2..]));
        let mut lines = head.split(|byte| *byte == b'\n');
        let is_signed = flags & 1 != 0;
        let entries = schemes(is_signed);
        Some(Self {
            entry: &entries[usize::from(which) % entries.len()],
            is_signed,
            flags,
            target: lines.next()?,
            changes: lines.take(64).collect(),
            body,
        })
    }

    fn check(&self) {
        let scheme = &*self.entry.scheme;
        let (head, body, at) = (self.head(), self.received_body(), self.received_at());
        let early = scheme.check_head(&head, at);
        let verified = scheme.verify(&head, &body, at);
        assert!(early.is_ok() || verified.is_err(), "the head alone rejects what is accepted");
        let _ = scheme.claimed_message_id(&head);
        // A query may already contain the token's parameter, which must occur only once.
        let is_changed = !self.changes.is_empty() || self.flags != 1 || self.target.contains(&b'?');
        let as_sent = self.is_signed && !is_changed;
        assert!(!as_sent || verified.is_ok(), "not accepted as it was signed: {scheme:?}");
        let proof = match verified {
            Ok(proof) => {
                assert!(self.may_be_accepted(&head, &body, &proof), "forged: {scheme:?}");
                proof
            }
            Err(error) => {
                assert!(!format!("{error} {error:?}").contains(TOKEN));
                if let Some(finding) = doctor::examine_head(&error, &head) {
                    assert!(!format!("{finding} {finding:?}").contains(TOKEN));
                }
                let findings = doctor::examine(scheme, &head, &body, at);
                let may_find = self.is_signed || self.entry.is_token();
                assert!(may_find || findings.is_empty(), "forged: {findings:?}");
                store(&head, body, scheme, Proof::new("none", "none", "raw"));
                return;
            }
        };
        let stored = store(&head, body, scheme, proof);
        let leaks = self.entry.token_is_in(stored.head().uri(), stored.head().headers());
        assert!(!leaks, "the token is stored: {stored:?}");
    }

    /// Returns the head as received: signed if `is_signed`, then changed line by line.
    fn head(&self) -> Parts {
        // A target without a path cannot carry a token, and no sender uses one.
        let target = if self.target.starts_with(b"/") { self.target } else { b"/hooks" };
        let target = Request::post(target).body(()).unwrap_or_else(|_| Request::new(()));
        let mut head = target.into_parts().0;
        if self.is_signed {
            let signature = self.entry.scheme.signature("msg_1", self.body, signed_at()).unwrap();
            signature.add_to(&mut head).unwrap();
        }
        self.changes.iter().for_each(|line| change(&mut head, line));
        head
    }

    fn received_body(&self) -> Bytes {
        let mut body = self.body.to_vec();
        if self.flags & 2 != 0 {
            let last = body.pop().map_or(b'{', |last| last ^ 1);
            body.push(last);
        }
        if self.flags & 4 != 0 {
            body.push(b'\n');
        }
        body.into()
    }

    /// Returns the time of the signing. If any of flags 8 to 128 is set, returns a time from 280 s before to 320 s
    /// after it instead, in steps of 20 s.
    fn received_at(&self) -> SystemTime {
        let shift = Duration::from_secs(20) * u32::from(self.flags >> 3);
        if shift.is_zero() { signed_at() } else { signed_at() - Duration::from_secs(5 * 60) + shift }
    }

    fn may_be_accepted(&self, head: &Parts, received: &[u8], proof: &Proof) -> bool {
        if self.entry.is_token() {
            return self.entry.token_is_in(&head.uri, &head.headers);
        }
        let without_breaks = |body: &[u8]| -> Vec<u8> {
            body.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect()
        };
        self.is_signed
            && match proof.form() {
                "raw" => received == self.body,
                _ => without_breaks(received) == without_breaks(self.body),
            }
    }
}

fn signed_at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

/// Applies one change to the head: `-name` removes a header, `=name: value` replaces it, `<name: text` and
/// `>name: text` add text before and after its value, and `name: value` adds a header.
fn change(head: &mut Parts, line: &[u8]) {
    let (how, line) = match line.split_first() {
        Some((how @ (b'-' | b'=' | b'<' | b'>'), rest)) => (*how, rest),
        _ => (b'+', line),
    };
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
    let Ok(name) = HeaderName::from_bytes(name) else { return };
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let old = head.headers.get(&name).map(|old| old.as_bytes().to_vec()).unwrap_or_default();
    let value = match how {
        b'<' => [value, &old].concat(),
        b'>' => [&old, value].concat(),
        _ => value.to_vec(),
    };
    match HeaderValue::from_bytes(&value) {
        _ if how == b'-' => drop(head.headers.remove(&name)),
        Ok(value) if how == b'+' => drop(head.headers.append(name, value)),
        Ok(value) => drop(head.headers.insert(name, value)),
        Err(_) => {}
    }
}

fn store(head: &Parts, body: Bytes, scheme: &dyn Scheme, proof: Proof) -> Delivery {
    let (id, model) = (DeliveryId::new(), "/hooks".parse().unwrap());
    let redaction = scheme.redaction().as_proof();
    Delivery::received(id, model, head, body, SystemTime::UNIX_EPOCH, proof, &redaction)
}

/// Returns every text that could contain a token: the target, raw and decoded, and all header values.
fn texts_of(uri: &Uri, headers: &HeaderMap) -> Vec<Vec<u8>> {
    let target = uri.to_string().into_bytes();
    let query = uri.query().unwrap_or_default().as_bytes();
    let decoded = form_urlencoded::parse(query).map(|(_, value)| value.into_owned().into_bytes());
    let headers = headers.values().map(|value| value.as_bytes().to_vec());
    std::iter::once(target).chain(decoded).chain(headers).collect()
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}
