use std::fmt;

use base64::Engine;
use http::{HeaderMap, HeaderName, header::CONTENT_ENCODING, request::Parts};

use super::{TOKEN_HEADERS, TOKEN_PARAMETERS};
use crate::signature::{Place, SignatureError, encoding::BASE64};

/// The maximum number of headers that are examined.
const MOST_HEADERS: usize = 128;

/// The maximum length of a header name that is shown, and of a value that is examined.
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 1024;

/// Common prefixes of signatures.
const PREFIXES: [&str; 9] =
    ["sha256=", "sha1=", "sha512=", "hmac-sha256=", "hmac ", "v0=", "v1=", "v1,", "v1a,"];

const CONTENT_ENCODINGS: [&str; 5] = ["gzip", "deflate", "br", "zstd", "x-gzip"];

/// A likely reason for a rejection, found in the head only, for the log line of a 401.
///
/// Contains names of headers and the format of a value, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadFinding {
    /// The request has another header with the same purpose as the header that the scheme reads.
    #[non_exhaustive]
    OtherHeader {
        /// The header that the scheme reads.
        expected: HeaderName,
        /// The header that was found.
        found: HeaderName,
    },
    /// The scheme reads a query parameter, but the token seems to be elsewhere.
    #[non_exhaustive]
    OtherPlace {
        /// The parameter that the scheme reads.
        expected: String,
        /// The header or parameter that was found.
        found: Place,
    },
    /// The signature has another format than the scheme expects.
    #[non_exhaustive]
    Form {
        /// The format, such as "64 hexadecimal digits after `sha256=`".
        form: String,
    },
    /// The body is compressed, and the signature may be that of the plain body.
    #[non_exhaustive]
    ContentEncoding {
        /// The content coding.
        encoding: &'static str,
    },
}

impl fmt::Display for HeadFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherHeader { expected, found } => {
                write!(f, "there is a header {found}, and the scheme reads {expected}")?;
                match (expected.as_str(), found.as_str()) {
                    (_, found) if found.starts_with("svix-") => {
                        f.write_str("; use StandardWebhooks::svix()")
                    }
                    (expected, _) if expected.starts_with("svix-") => {
                        f.write_str("; use StandardWebhooks without svix()")
                    }
                    _ => Ok(()),
                }
            }
            Self::OtherPlace { expected, found } => {
                write!(f, "there is a {found}, and the scheme reads query parameter {expected}")
            }
            Self::Form { form } => write!(f, "the value looks like {form}"),
            Self::ContentEncoding { encoding } => write!(
                f,
                "the body has content-encoding {encoding}; the sender may have signed the plain text"
            ),
        }
    }
}

/// Finds the likely reason for a rejection in the head: a signature in another header (`svix-*` and `webhook-*`), a
/// prefix that is missing or in another case, another encoding, white space, a compressed body. `None` if there is no
/// finding.
///
/// Cheap for any head: examines up to 128 headers and 1 KiB of a value, and hashes nothing. Unlike
/// [`examine`](super::examine), it proves nothing and requires no secret.
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{Scheme, Secret, StandardWebhooks, doctor};
///
/// let scheme = StandardWebhooks::new(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
/// let (mut head, ()) = Request::post("/hooks/images").body(())?.into_parts();
/// let now = SystemTime::now();
/// scheme.clone().svix().signature("msg_1", b"{}", now)?.add_to(&mut head)?;
/// let error = scheme.verify(&head, b"{}", now).unwrap_err();
/// let finding = doctor::examine_head(&error, &head).unwrap();
/// assert!(finding.to_string().starts_with("there is a header svix-id"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn examine_head(error: &SignatureError, head: &Parts) -> Option<HeadFinding> {
    match error {
        SignatureError::Missing { place: Place::Header(expected) } => {
            let found = other_header(expected, &head.headers)?;
            Some(HeadFinding::OtherHeader { expected: expected.clone(), found })
        }
        SignatureError::Missing { place: Place::Query(expected) } => {
            let found = other_place(head)?;
            Some(HeadFinding::OtherPlace { expected: expected.clone(), found })
        }
        SignatureError::Malformed { place: Place::Header(header), .. } => {
            let form = form_of(head.headers.get(header)?.as_bytes())?;
            Some(HeadFinding::Form { form })
        }
        SignatureError::Mismatch { .. } => content_encoding(&head.headers)
            .map(|encoding| HeadFinding::ContentEncoding { encoding }),
        _ => None,
    }
}

fn other_header(expected: &HeaderName, headers: &HeaderMap) -> Option<HeaderName> {
    let twin = twin_of(expected.as_str()).filter(|twin| headers.contains_key(twin));
    if twin.is_some() {
        return twin;
    }
    let is_alike: fn(&str) -> bool = match expected.as_str() {
        name if is_of_signature(name) => is_of_signature,
        name if is_of_time(name) => is_of_time,
        _ => is_of_token,
    };
    let mut names = headers.keys().take(MOST_HEADERS);
    names.find(|name| name.as_str().len() <= LONGEST_NAME && is_alike(name.as_str())).cloned()
}

/// Returns the Svix name of a header of Standard Webhooks, and the other way round.
fn twin_of(name: &str) -> Option<HeaderName> {
    let twin = match (name.strip_prefix("webhook-"), name.strip_prefix("svix-")) {
        (Some(rest), _) => format!("svix-{rest}"),
        (_, Some(rest)) => format!("webhook-{rest}"),
        _ => return None,
    };
    twin.parse().ok()
}

fn is_of_signature(name: &str) -> bool {
    name.contains("signature") || name.contains("hmac") || name.ends_with("-sig")
}

fn is_of_time(name: &str) -> bool {
    name.contains("timestamp")
}

fn is_of_token(name: &str) -> bool {
    TOKEN_HEADERS.iter().any(|(header, _)| *header == name)
        || ["token", "secret"].iter().any(|word| name.contains(word))
}

fn other_place(head: &Parts) -> Option<Place> {
    let query = head.uri.query().unwrap_or_default();
    let given = query.split('&').take(MOST_HEADERS).map(|pair| pair.split('=').next());
    let is_given = |name: &str| given.clone().any(|given| given == Some(name));
    if let Some(name) = TOKEN_PARAMETERS.into_iter().find(|name| is_given(name)) {
        return Some(Place::Query(name.to_owned()));
    }
    let mut names = TOKEN_HEADERS.iter().map(|(name, _)| HeaderName::from_static(name));
    names.find(|name| head.headers.contains_key(name)).map(Place::Header)
}

/// Describes the format of a value that looks like a signature.
fn form_of(value: &[u8]) -> Option<String> {
    let value = std::str::from_utf8(value.get(..value.len().min(LONGEST_VALUE))?).ok()?;
    let bare = value.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
    let prefix = PREFIXES.into_iter().find(|prefix| starts_with_any_case(bare, prefix));
    let after = bare.get(prefix.map_or(0, str::len)..)?;
    let digits = after.trim();
    let mut form = encoding_of(digits)?;
    form += match prefix {
        None => " without a prefix",
        Some(_) => " after ",
    };
    if let Some(prefix) = prefix {
        form.extend(["`", prefix, "`"]);
        if !bare.starts_with(prefix) {
            form += " in upper case";
        }
    }
    if value.contains(['"', '\'']) {
        form += ", in quotation marks";
    }
    if value.trim() != value || after != digits {
        form += ", with white space";
    }
    Some(form)
}

fn starts_with_any_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Describes the encoding of a text that has the length of a signature.
fn encoding_of(text: &str) -> Option<String> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.len() {
        length @ (40 | 64 | 128) if is_hex => Some(format!("{length} hexadecimal digits")),
        // The base64 of 64 bytes is 88 characters long.
        27..=88 => match BASE64.decode(text).ok()?.len() {
            bytes @ (20 | 32 | 64) => Some(format!("{bytes} bytes in base64")),
            _ => None,
        },
        _ => None,
    }
}

fn content_encoding(headers: &HeaderMap) -> Option<&'static str> {
    let value = headers.get(CONTENT_ENCODING)?.to_str().ok()?;
    CONTENT_ENCODINGS.into_iter().find(|known| value.trim().eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Request;

    use super::*;
    use crate::signature::{HeaderToken, HmacBody, QueryToken, Scheme, Secret, StandardWebhooks};

    const BODY: &[u8] = b"{}";

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request = Request::post("/a?token=HUNTER2");
        let headers = headers.iter();
        let request = headers.fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn found(scheme: &dyn Scheme, headers: &[(&str, &str)]) -> String {
        let head = head(headers);
        let error = scheme.verify(&head, BODY, SystemTime::now()).unwrap_err();
        let finding = examine_head(&error, &head);
        finding.map(|finding| finding.to_string()).unwrap_or_default()
    }

    fn hex() -> String {
        HmacBody::new("x-signature", Secret::new("a")).sign(BODY).unwrap()
    }

    #[test]
    fn svix_headers_on_a_webhook_scheme_and_the_reverse_are_found() {
        let scheme = || StandardWebhooks::new(Secret::new("whsec_AAAA"));
        let svix = [("x-signature", "a"), ("svix-id", "1")];
        let expected = "there is a header svix-id, and the scheme reads webhook-id; use StandardWebhooks::svix()";
        assert_eq!(found(&scheme(), &svix), expected);
        let expected = "there is a header webhook-id, and the scheme reads svix-id; use StandardWebhooks without svix()";
        assert_eq!(found(&scheme().svix(), &[("webhook-id", "1")]), expected);
    }

    #[test]
    fn signature_or_token_under_another_header_name_is_found() {
        let scheme = HmacBody::new("x-signature", Secret::new("a"));
        let other = [("host", "a"), ("x-acme-hmac-sha256", "HUNTER2")];
        let expected = "there is a header x-acme-hmac-sha256, and the scheme reads x-signature";
        assert_eq!(found(&scheme, &other), expected);
        assert_eq!(found(&scheme, &[("host", "a"), ("authorization", "Bearer HUNTER2")]), "");
        let token = HeaderToken::new("x-hook-token", Secret::new("a"));
        let expected = "there is a header authorization, and the scheme reads x-hook-token";
        assert_eq!(found(&token, &[("authorization", "Bearer HUNTER2")]), expected);
        let ticket = QueryToken::new("ticket", Secret::new("a"));
        let expected =
            "there is a query parameter token, and the scheme reads query parameter ticket";
        assert_eq!(found(&ticket, &[]), expected);
    }

    #[test]
    fn prefix_case_encoding_and_white_space_of_a_signature_are_found() {
        let plain = HmacBody::new("x-signature", Secret::new("a"));
        let prefixed = plain.clone().prefix("sha256=");
        let of = |scheme: &HmacBody, value: &str| found(scheme, &[("x-signature", value)]);
        let hex = hex();
        let looks_like = |form: &str| format!("the value looks like {form}");
        let digits = "64 hexadecimal digits";
        let form = looks_like(&format!("{digits} without a prefix"));
        assert_eq!(of(&prefixed, &hex), form);
        let form = looks_like(&format!("{digits} after `sha256=`"));
        assert_eq!(of(&plain, &format!("sha256={hex}")), form);
        let form = looks_like(&format!("{digits} after `sha256=` in upper case"));
        assert_eq!(of(&prefixed, &format!("SHA256={hex}")), form);
        let form = looks_like(&format!("{digits} after `sha256=`, with white space"));
        assert_eq!(of(&prefixed, &format!("sha256= {hex}")), form);
        let form = looks_like(&format!("{digits} without a prefix, in quotation marks"));
        assert_eq!(of(&plain, &format!("\"{hex}\"")), form);
        let base64 = BASE64.encode([7; 32]);
        let form = looks_like("32 bytes in base64 without a prefix");
        assert_eq!(of(&plain, &base64), form);
        assert_eq!(of(&plain, "HUNTER2"), "");
    }

    #[test]
    fn compressed_body_is_found_where_the_signature_does_not_match() {
        let scheme = HmacBody::new("x-signature", Secret::new("b"));
        let hex = hex();
        let headers = [("x-signature", hex.as_str()), ("content-encoding", "GZIP")];
        assert!(found(&scheme, &headers).contains("content-encoding gzip"));
        assert_eq!(found(&scheme, &[("x-signature", &hex), ("content-encoding", "HUNTER2")]), "");
    }

    #[test]
    fn long_names_and_values_are_not_shown() {
        let scheme = HmacBody::new("x-signature", Secret::new("a"));
        let long = format!("x-{}-signature", "y".repeat(1000));
        assert_eq!(found(&scheme, &[(&long, "a")]), "");
        assert_eq!(found(&scheme, &[("x-signature", &"a".repeat(100_000))]), "");
    }
}
