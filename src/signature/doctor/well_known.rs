/// The headers in which providers send the HMAC of a body, in lower case, and its prefix. From the providers' pages on
/// webhooks; senders copy `x-hub-signature-256` from GitHub.
pub(in crate::signature) const WELL_KNOWN: [(&str, &str); 14] = [
    ("lc-signature", "sha256="),
    ("x-baseten-signature", "v1="),
    ("x-bfl-signature", "sha256="),
    ("x-deapi-signature", "sha256="),
    ("x-firecrawl-signature", "sha256="),
    ("x-hub-signature-256", "sha256="),
    ("x-microsoftspeechservices-signature", ""),
    ("x-mindee-hmac-signature", ""),
    ("x-rossum-signature-sha256", "sha256="),
    ("x-signature", ""),
    ("x-vapi-signature", ""),
    ("x-vlmrun-signature", "sha256="),
    ("x-webhook-signature", ""),
    ("x-webhook-signature", "sha256="),
];

/// The headers in which providers send a token, in lower case, and its prefix. The last ones are often chosen by
/// receivers.
pub(in crate::signature) const TOKEN_HEADERS: [(&str, &str); 8] = [
    ("authorization", "Bearer "),
    ("authorization", ""),
    ("dg-token", ""),
    ("x-webhook-secret", ""),
    ("x-webhook-token", ""),
    ("x-api-key", ""),
    ("x-auth-token", ""),
    ("x-token", ""),
];

/// Common query parameters of tokens.
pub(in crate::signature) const TOKEN_PARAMETERS: [&str; 5] =
    ["token", "ticket", "secret", "key", "auth"];

/// The headers of signature and timestamp, and the prefix of the signature. From the providers' pages; the last two are
/// common choices.
pub(in crate::signature) const TIMED_HEADERS: [(&str, &str, &str); 5] = [
    ("x-extend-request-signature", "x-extend-request-timestamp", ""),
    ("x-fal-webhook-signature", "x-fal-webhook-timestamp", ""),
    ("x-slack-signature", "x-slack-request-timestamp", "v0="),
    ("x-signature", "x-timestamp", ""),
    ("x-webhook-signature", "x-webhook-timestamp", ""),
];

/// The headers with a list of timestamp and signature, and the keys of both.
pub(in crate::signature) const TIMED_LISTS: [(&str, &str, &str); 3] = [
    ("elevenlabs-signature", "t", "v0"),
    ("stripe-signature", "t", "v1"),
    ("x-retell-signature", "v", "d"),
];

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn well_known_names_are_valid_header_names() {
        let timed = TIMED_HEADERS.iter().flat_map(|(signature, time, _)| [*signature, *time]);
        let listed = TIMED_LISTS.iter().map(|(header, ..)| *header);
        let tokens = WELL_KNOWN.iter().chain(&TOKEN_HEADERS).map(|(header, _)| *header);
        for header in timed.chain(listed).chain(tokens) {
            assert_eq!(HeaderName::from_bytes(header.as_bytes()).unwrap().as_str(), header);
            assert_eq!(HeaderName::from_static(header), header);
        }
    }
}
