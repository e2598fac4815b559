use std::borrow::Cow;

use base64::Engine;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use zeroize::Zeroizing;

use super::secret_values::{REDACTED, SecretValues, redact};
use crate::signature::BASE64;

/// A header is always redacted if its name contains one of these words: no list of names would be complete. Signatures
/// are not secrets.
const HEADER_WORDS: [&str; 9] = [
    "api-key",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "passw",
    "secret",
    "session",
    "token",
];

/// The bytes that end a URL in a header, or a parameter of the URL.
const ENDS_IN_HEADERS: &[u8] = b"&# \"'<>\t";

/// The bytes that end a parameter of the query.
const ENDS_IN_QUERY: &[u8] = b"&";

/// The secret parts of a request head, which never reach the archive or a log.
///
/// Redaction is by name and by value. A model adds the headers and query parameters that its scheme reads, and those of
/// [`Model::redact`](crate::Model::redact). Their values are replaced wherever they occur in a header or in the target
/// of the request, literally or percent-encoded: proxies repeat a URL in `x-original-uri`, `referer`, `forwarded` and
/// others.
///
/// Headers with a usual name of a secret, such as `authorization`, `cookie` and `x-api-key`, are always redacted. Query
/// parameters are not: `?user=7&key=order-9` belongs to the receiver.
///
/// Values of fewer than 8 bytes are only replaced between separators, and those of fewer than 4 only as the value of a
/// parameter. The path keeps values of fewer than 8 bytes, and those of parameters that do not prove the sender. Where
/// a request has more than 16 distinct secret values, all values of its query and all headers with a `=` are replaced.
///
/// ```
/// use tower_inbox::delivery::Redaction;
///
/// let redaction = Redaction::default().query("ticket");
/// let uri = "/hooks/group?ticket=4711&street=Elm".parse()?;
/// assert_eq!(redaction.redact_uri(&uri), "/hooks/group?ticket=REDACTED&street=Elm");
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    query: Vec<String>,
    headers: Vec<HeaderName>,
    /// The query parameters that prove the sender.
    proving: Vec<String>,
}

impl Redaction {
    /// Also redacts the values of this query parameter. The name is case-insensitive.
    pub fn query(mut self, name: impl Into<String>) -> Self {
        self.query.push(name.into());
        self
    }

    /// Also redacts the values of this header.
    pub fn header(mut self, name: HeaderName) -> Self {
        self.headers.push(name);
        self
    }

    /// Adds everything that `other` redacts.
    pub fn and(mut self, other: Self) -> Self {
        self.query.extend(other.query);
        self.headers.extend(other.headers);
        self.proving.extend(other.proving);
        self
    }

    /// Marks the query parameters added so far as proof of the sender. The [fingerprint](super::Fingerprint) of a
    /// delivery does not cover them, because a sender may change them between two attempts.
    ///
    /// The inbox does so with the [redaction of a scheme](crate::signature::Scheme::redaction). Parameters that a model
    /// redacts beside its scheme are covered: `?street=Elm` and `?street=Oak` are two deliveries.
    pub fn as_proof(mut self) -> Self {
        self.proving.clone_from(&self.query);
        self
    }

    /// The pairs of the query that identify a delivery, as received.
    pub(super) fn identifying_pairs<'u>(&self, target: &'u Uri) -> impl Iterator<Item = &'u str> {
        let pairs = target.query().into_iter().flat_map(|query| query.split('&'));
        pairs.filter(|pair| !self.proves(pair))
    }

    /// Returns true if a part of this text was, or may have been, redacted.
    pub(super) fn is_redacted(text: &str) -> bool {
        text.contains(REDACTED)
    }

    fn proves(&self, pair: &str) -> bool {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        is_among(&self.proving, &decoded(name.as_bytes()))
    }

    /// Returns the path and query of `uri`, with a placeholder for each secret value, without host and user.
    pub fn redact_uri(&self, uri: &Uri) -> Uri {
        self.target_without(&self.secrets_of(uri, &HeaderMap::new()), uri)
    }

    /// Returns `headers` with a placeholder for each secret value. Repeated headers stay repeated.
    pub fn redact_headers(&self, headers: &HeaderMap) -> HeaderMap {
        self.headers_without(&self.secrets_of(&Uri::default(), headers), headers)
    }

    /// Returns the path, query and headers of a request. A secret of one of them is redacted in all.
    pub(super) fn redact(&self, uri: &Uri, headers: &HeaderMap) -> (Uri, HeaderMap) {
        let secrets = self.secrets_of(uri, headers);
        (self.target_without(&secrets, uri), self.headers_without(&secrets, headers))
    }

    fn secrets_of(&self, uri: &Uri, headers: &HeaderMap) -> Secrets {
        let mut secrets = Secrets::default();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if is_among(&self.query, &name) {
                secrets.all.add(value.as_bytes());
            }
            if is_among(&self.proving, &name) {
                secrets.proving.add(value.as_bytes());
            }
        }
        let values = self.headers.iter().flat_map(|name| headers.get_all(name));
        for secret in values.flat_map(|value| secrets_of_header(value.as_bytes())) {
            secrets.all.add(&secret);
            secrets.proving.add(&secret);
        }
        secrets
    }

    fn target_without(&self, secrets: &Secrets, uri: &Uri) -> Uri {
        let long = secrets.proving.long();
        let path = redact(uri.path().as_bytes(), &long, |_| false, b"");
        let path = redacted_text(uri.path(), path);
        let Some(query) = uri.query() else {
            return path.parse().unwrap_or_default();
        };
        let hides = |name: &[u8]| secrets.all.too_many() || self.hides(name);
        let redacted = redact(query.as_bytes(), &secrets.all, hides, ENDS_IN_QUERY);
        let query = redacted_text(query, redacted);
        format!("{path}?{query}").parse().or_else(|_| path.parse()).unwrap_or_default()
    }

    fn headers_without(&self, secrets: &Secrets, headers: &HeaderMap) -> HeaderMap {
        let mut redacted = headers.clone();
        for (name, value) in &mut redacted {
            if let Some(replacement) = self.replacement(&secrets.all, name, value) {
                *value = replacement;
            }
        }
        redacted
    }

    /// The redacted value of a header; None if nothing is redacted.
    fn replacement(
        &self,
        secrets: &SecretValues,
        name: &HeaderName,
        value: &HeaderValue,
    ) -> Option<HeaderValue> {
        let has_secret_name = HEADER_WORDS.iter().any(|word| name.as_str().contains(word));
        // A host with a user may contain a password.
        let is_host_with_user = name == header::HOST && value.as_bytes().contains(&b'@');
        let is_unclear = secrets.too_many() && value.as_bytes().contains(&b'=');
        if self.headers.contains(name) || has_secret_name || is_host_with_user || is_unclear {
            return Some(HeaderValue::from_static(REDACTED));
        }
        if secrets.is_empty() && self.query.is_empty() {
            return None;
        }
        let hides = |name: &[u8]| self.hides(name);
        let redacted = redact(value.as_bytes(), secrets, hides, ENDS_IN_HEADERS)?;
        let redacted = HeaderValue::from_bytes(&redacted);
        Some(redacted.unwrap_or(HeaderValue::from_static(REDACTED)))
    }

    fn hides(&self, encoded_name: &[u8]) -> bool {
        !self.query.is_empty() && is_among(&self.query, &decoded(encoded_name))
    }
}

/// The secret values of one request.
#[derive(Default)]
struct Secrets {
    /// The values that prove the sender.
    proving: SecretValues,
    all: SecretValues,
}

fn is_among(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The value itself; the part after its first word, such as `Bearer`; and for `Basic` the credentials and the password.
fn secrets_of_header(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut secrets = vec![value.to_vec()];
    let mut words = value.splitn(2, |byte| *byte == b' ');
    let (first, rest) = (words.next().unwrap_or_default(), words.next());
    secrets.extend(rest.map(<[u8]>::to_vec));
    if first.eq_ignore_ascii_case(b"basic")
        && let Some(pair) = rest.and_then(|rest| BASE64.decode(rest).ok())
    {
        let password = pair.iter().position(|byte| *byte == b':');
        secrets.extend(password.and_then(|colon| pair.get(colon + 1..)).map(<[u8]>::to_vec));
        secrets.push(pair);
    }
    secrets.into_iter().map(Zeroizing::new).collect()
}

/// A URI is ASCII, and so are the placeholders.
fn redacted_text(text: &str, redacted: Option<Vec<u8>>) -> Cow<'_, str> {
    match redacted {
        None => Cow::Borrowed(text),
        Some(bytes) => String::from_utf8(bytes).map_or(Cow::Borrowed(REDACTED), Cow::Owned),
    }
}

/// Decodes a name in the same way as for reading tokens: `+` is a space.
fn decoded(encoded_name: &[u8]) -> Cow<'_, str> {
    let mut decoded = form_urlencoded::parse(encoded_name);
    decoded.next().map(|(name, _)| name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(uri: &str) -> String {
        Redaction::default().query("ticket").redact_uri(&uri.parse().unwrap()).to_string()
    }

    #[test]
    fn secrets_in_the_query_are_replaced_and_other_parameters_kept() {
        assert_eq!(redacted("/a?ticket=x&b=c&TICKET=y"), "/a?ticket=REDACTED&b=c&TICKET=REDACTED");
        assert_eq!(redacted("/a?%74icket=x"), "/a?%74icket=REDACTED");
        assert_eq!(redacted("/a?lone&ticket=a=b&"), "/a?lone&ticket=REDACTED&");
        assert_eq!(redacted("/a?ticket&b=1"), "/a?ticket&b=1");
        assert_eq!(redacted("/a"), "/a");
        let own = "/a?customer_id=3&user=7&key=order-9&token=t-1&password=p&sig=s";
        assert_eq!(redacted(own), own, "usual names of secrets belong to the receiver");
    }

    #[test]
    fn value_that_proves_the_sender_is_replaced_everywhere_in_the_target() {
        let redaction = Redaction::default().query("ticket").as_proof().query("street");
        let redacted = |uri: &str| redaction.redact_uri(&uri.parse().unwrap()).to_string();
        let target = "/hunter22/a?ticket=hunter22&copy=hunter%322&id=1";
        assert_eq!(redacted(target), "/REDACTED/a?ticket=REDACTED&copy=REDACTED&id=1");
        let target = "/a/Elm-Street/?street=Elm-Street&ticket=7&floor=7";
        let expected = "/a/Elm-Street/?street=REDACTED&ticket=REDACTED&floor=REDACTED";
        assert_eq!(redacted(target), expected, "the path is what a replay is routed by");
    }

    #[test]
    fn more_secret_values_than_are_searched_hide_the_whole_query_and_urls() {
        let pairs: Vec<_> = (0..20).map(|number| format!("ticket={number}")).collect();
        let uri: Uri = format!("/a?id=1&{}", pairs.join("&")).parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-url", HeaderValue::from_static("/a?id=1"));
        headers.insert("x-id", HeaderValue::from_static("1"));
        let redaction = Redaction::default().query("ticket").as_proof();
        let (uri, headers) = redaction.redact(&uri, &headers);
        assert!(uri.query().unwrap().split('&').all(|pair| pair.ends_with("=REDACTED")), "{uri}");
        assert_eq!(
            (&headers["x-url"], &headers["x-id"]),
            (&REDACTED.parse().unwrap(), &"1".parse().unwrap())
        );
    }

    #[test]
    fn parameter_name_is_decoded_as_for_reading_tokens() {
        let redaction = Redaction::default().query("my ticket");
        let uri = "/a?my+ticket=x&my%20ticket=y".parse().unwrap();
        assert_eq!(redaction.redact_uri(&uri), "/a?my+ticket=REDACTED&my%20ticket=REDACTED");
    }

    #[test]
    fn user_and_host_are_left_out_of_the_target() {
        assert_eq!(redacted("http://me:pass@host/a?b=c"), "/a?b=c");
    }

    #[test]
    fn every_value_of_a_secret_header_is_replaced() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Basic eA=="),
            ("authorization", "Bearer y"),
            ("x-hook", "z"),
            ("x-webhook-secret", "z"),
            ("dg-token", "z"),
            ("x-api-key", "z"),
            ("x-goog-iap-session", "z"),
            ("host", "me:pass@example.com"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let redaction = Redaction::default().header(HeaderName::from_static("x-hook"));
        let redacted = redaction.redact_headers(&headers);
        assert_eq!(redacted.len(), headers.len());
        assert!(redacted.values().all(|value| value == REDACTED), "{redacted:?}");
    }

    #[test]
    fn other_headers_are_kept() {
        let mut headers = HeaderMap::new();
        for name in ["x-signature", "webhook-signature", "idempotency-key", "host", "accept"] {
            headers.append(name, HeaderValue::from_static("value"));
        }
        assert_eq!(Redaction::default().redact_headers(&headers), headers);
    }

    /// The headers of a request to `target` with these headers.
    fn headers_of(redaction: &Redaction, target: &str, sent: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, value.parse().unwrap());
        }
        redaction.redact(&target.parse().unwrap(), &headers).1
    }

    #[test]
    fn token_of_the_query_is_replaced_in_any_header() {
        let redaction = Redaction::default().query("ticket").as_proof();
        for name in
            ["x-forwarded-url", "x-request-url", "x-original-uri", "referer", "forwarded", "x-a"]
        {
            for (value, expected) in [
                ("/a?ticket=pa%20ss&b=c", "/a?ticket=REDACTED&b=c"),
                ("https://h/a?ticket=pa+ss", "https://h/a?ticket=REDACTED"),
                (
                    "/login?next=%2Fa%3Fticket%3Dpa%2520ss%26b",
                    "/login?next=%2Fa%3Fticket%3DREDACTED%26b",
                ),
                (
                    "for=1.2.3.4;path=\"/a?ticket=pa%20ss\"",
                    "for=1.2.3.4;path=\"/a?ticket=REDACTED\"",
                ),
                ("the token is pa ss", "the token is REDACTED"),
                ("/a?TICKET=another&b=c", "/a?TICKET=REDACTED&b=c"),
                ("/a?user=7&key=order-9", "/a?user=7&key=order-9"),
            ] {
                let headers = headers_of(&redaction, "/a?ticket=pa%20ss", &[(name, value)]);
                assert_eq!(headers[name], expected, "{name}");
            }
        }
    }

    #[test]
    fn token_of_a_header_and_basic_credentials_are_replaced_in_any_other_header() {
        let by_header = |name: &'static str| Redaction::default().header(name.parse().unwrap());
        let sent = [("x-hook", "Bearer hunter22"), ("x-copy", "a hunter22 b"), ("x-id", "order-9")];
        let headers = headers_of(&by_header("x-hook"), "/a", &sent);
        assert_eq!(
            (&headers["x-copy"], &headers["x-id"]),
            (&"a REDACTED b".parse().unwrap(), &"order-9".parse().unwrap())
        );
        let basic = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        let sent = [
            ("authorization", basic),
            ("referer", "https://Aladdin:open%20sesame@h/a?b=Aladdin"),
            ("x-copy", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ];
        let headers = headers_of(&by_header("authorization"), "/a?p=open+sesame", &sent);
        assert_eq!(headers["referer"], "https://REDACTED@h/a?b=Aladdin");
        assert_eq!(headers["x-copy"], REDACTED);
    }
}
