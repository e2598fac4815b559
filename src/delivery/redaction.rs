use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use percent_encoding::percent_decode_str;

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

/// Headers whose value is taken for a secret, whatever the model says.
const HEADERS: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("dg-token"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-webhook-secret"),
    HeaderName::from_static("x-webhook-token"),
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

    /// All that `other` takes for secrets is one here as well.
    pub fn and(mut self, other: Self) -> Self {
        self.query.extend(other.query);
        self.headers.extend(other.headers);
        self
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
        for name in HEADERS.iter().chain(&self.headers) {
            if let header::Entry::Occupied(mut entry) = redacted.entry(name) {
                for value in entry.iter_mut() {
                    *value = HeaderValue::from_static(REDACTED);
                }
            }
        }
        redacted
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
        let name = percent_decode_str(encoded_name).decode_utf8_lossy();
        let names = QUERY.into_iter().chain(self.query.iter().map(String::as_str));
        names.into_iter().any(|secret| secret.eq_ignore_ascii_case(&name))
    }
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
    fn user_and_host_are_left_out() {
        assert_eq!(redacted("http://me:pass@host/a?b=c"), "/a?b=c");
    }

    #[test]
    fn every_value_of_a_secret_header_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("Basic eA=="));
        headers.append("authorization", HeaderValue::from_static("Bearer y"));
        headers.append("x-hook-token", HeaderValue::from_static("z"));
        headers.append("accept", HeaderValue::from_static("*/*"));
        let redaction = Redaction::default().header(HeaderName::from_static("x-hook-token"));
        let redacted = redaction.redact_headers(&headers);
        let values: Vec<_> = redacted.get_all("authorization").iter().collect();
        assert_eq!(values, [REDACTED, REDACTED]);
        assert_eq!(redacted["x-hook-token"], REDACTED);
        assert_eq!(redacted["accept"], "*/*");
    }
}
