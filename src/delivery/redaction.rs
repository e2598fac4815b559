use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

/// What stands where a secret was.
const REDACTED: &str = "REDACTED";

/// Query parameters whose value is taken for a secret, whatever the model says.
const QUERY: [&str; 15] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "key",
    "passwd",
    "password",
    "pwd",
    "secret",
    "sig",
    "signature",
    "token",
    "user",
    "username",
];

/// A header with one of these words in its name is taken for a secret, whatever the model says: no list of names would
/// be complete. Signatures are no secrets.
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

/// Headers in which proxies and browsers repeat a URL, and with it the secrets of its query.
const URL_HEADERS: [&str; 8] = [
    "forwarded-uri",
    "original-path",
    "original-uri",
    "original-url",
    "referer",
    "request-uri",
    "rewrite-url",
    "rewrite-uri",
];

/// Which parts of a request's head are secrets, and never reach the archive or a log.
///
/// The usual names are always among them; a model adds those that its scheme reads.
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
    /// Those of the query that prove the sender.
    proving: Vec<String>,
}

impl Redaction {
    /// Takes the values of this query parameter, too, for secrets. Its name is compared without regard to case.
    pub fn query(mut self, name: impl Into<String>) -> Self {
        self.query.push(name.into());
        self
    }

    /// Takes the values of this header, too, for secrets.
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

    /// Marks the query parameters added so far as proof of the sender. They do not count for the
    /// [fingerprint](super::Fingerprint) of a delivery, since a sender may change them between two attempts.
    ///
    /// The inbox does so with the [redaction of a scheme](crate::signature::Scheme::redaction). Usual names of secrets,
    /// and what a model redacts beside its scheme, are only kept out of the archive: `?key=document-1` and
    /// `?key=document-2` are two deliveries.
    pub fn as_proof(mut self) -> Self {
        self.proving.clone_from(&self.query);
        self
    }

    /// The pairs of the query that identify a delivery, as they were received.
    pub(super) fn identifying_pairs<'u>(&self, target: &'u Uri) -> impl Iterator<Item = &'u str> {
        let pairs = target.query().into_iter().flat_map(|query| query.split('&'));
        pairs.filter(|pair| !self.proves(pair))
    }

    /// Whether the value of this pair was replaced, or may have been.
    pub(super) fn is_redacted(pair: &str) -> bool {
        pair.split_once('=').map_or(pair, |(_, value)| value) == REDACTED
    }

    fn proves(&self, pair: &str) -> bool {
        let name = decoded(pair.split_once('=').map_or(pair, |(name, _)| name));
        self.proving.iter().any(|proving| proving.eq_ignore_ascii_case(&name))
    }

    /// The path and query of `uri`, with a placeholder for each secret value. Host and user are left out.
    pub fn redact_uri(&self, uri: &Uri) -> Uri {
        let Some(query) = uri.query() else {
            return path_only(uri);
        };
        let query: Vec<_> = query.split('&').map(|pair| self.redact_pair(pair)).collect();
        format!("{}?{}", uri.path(), query.join("&")).parse().unwrap_or_else(|_| path_only(uri))
    }

    /// `headers` with a placeholder for each secret value. Repeated headers stay repeated.
    pub fn redact_headers(&self, headers: &HeaderMap) -> HeaderMap {
        let mut redacted = headers.clone();
        for (name, value) in &mut redacted {
            if let Some(replacement) = self.replacement(name, value) {
                *value = replacement;
            }
        }
        redacted
    }

    /// What stands in the place of a header's value, if it must not stand there itself.
    fn replacement(&self, name: &HeaderName, value: &HeaderValue) -> Option<HeaderValue> {
        let contains = |words: &[&str]| words.iter().any(|word| name.as_str().contains(word));
        if self.headers.contains(name) || contains(&HEADER_WORDS) {
            return Some(HeaderValue::from_static(REDACTED));
        }
        // A host has no user; one that came with it may have brought its password.
        if name == header::HOST && value.as_bytes().contains(&b'@') {
            return Some(HeaderValue::from_static(REDACTED));
        }
        contains(&URL_HEADERS).then(|| self.redact_url(value))
    }

    /// Of a whole URL only path and query are kept.
    fn redact_url(&self, value: &HeaderValue) -> HeaderValue {
        let uri = Uri::try_from(value.as_bytes());
        uri.ok()
            .and_then(|uri| HeaderValue::try_from(self.redact_uri(&uri).to_string()).ok())
            .unwrap_or(HeaderValue::from_static(REDACTED))
    }

    fn redact_pair<'q>(&self, pair: &'q str) -> Cow<'q, str> {
        match pair.split_once('=') {
            Some((name, _)) if self.hides(name) => Cow::Owned(format!("{name}={REDACTED}")),
            // A lone word may be a secret itself: nobody can tell.
            None if !pair.is_empty() => Cow::Borrowed(REDACTED),
            _ => Cow::Borrowed(pair),
        }
    }

    fn hides(&self, encoded_name: &str) -> bool {
        let name = decoded(encoded_name);
        let names = QUERY.into_iter().chain(self.query.iter().map(String::as_str));
        names.into_iter().any(|secret| secret.eq_ignore_ascii_case(&name))
    }
}

/// The same decoding as where tokens are read: `+` is a space.
fn decoded(encoded_name: &str) -> Cow<'_, str> {
    let mut decoded = form_urlencoded::parse(encoded_name.as_bytes());
    decoded.next().map(|(name, _)| name).unwrap_or_default()
}

fn path_only(uri: &Uri) -> Uri {
    uri.path().parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(uri: &str) -> String {
        Redaction::default().query("ticket").redact_uri(&uri.parse().unwrap()).to_string()
    }

    #[test]
    fn secrets_in_the_query_are_replaced_and_the_rest_stays() {
        assert_eq!(redacted("/a?token=x&b=c&TICKET=y"), "/a?token=REDACTED&b=c&TICKET=REDACTED");
        assert_eq!(redacted("/a?%74oken=x"), "/a?%74oken=REDACTED");
        assert_eq!(redacted("/a?lone&token=a=b&"), "/a?REDACTED&token=REDACTED&");
        assert_eq!(redacted("/a"), "/a");
    }

    #[test]
    fn a_name_is_decoded_as_where_tokens_are_read() {
        let redaction = Redaction::default().query("my ticket");
        let uri = "/a?my+ticket=x&my%20ticket=y".parse().unwrap();
        assert_eq!(redaction.redact_uri(&uri), "/a?my+ticket=REDACTED&my%20ticket=REDACTED");
    }

    #[test]
    fn user_and_host_are_left_out() {
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
    fn other_headers_stay() {
        let mut headers = HeaderMap::new();
        for name in ["x-signature", "webhook-signature", "idempotency-key", "host", "accept"] {
            headers.append(name, HeaderValue::from_static("value"));
        }
        assert_eq!(Redaction::default().redact_headers(&headers), headers);
    }

    #[test]
    fn a_url_in_a_header_is_redacted_as_the_url_itself() {
        let redacted = |name, value| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            Redaction::default().query("ticket").redact_headers(&headers)[name].clone()
        };
        assert_eq!(redacted("x-original-uri", "/a?ticket=x&b=c"), "/a?ticket=REDACTED&b=c");
        assert_eq!(redacted("referer", "https://h/a?ticket=x"), "/a?ticket=REDACTED");
        assert_eq!(redacted("x-envoy-original-path", "/a?token=x"), "/a?token=REDACTED");
        assert_eq!(redacted("x-forwarded-uri", "no uri: token=x"), REDACTED);
    }
}
