/// The headers in which providers put the HMAC of a body, in lower case, and what stands before it there. From the
/// providers' pages on webhooks; `x-hub-signature-256` is what senders copy from GitHub.
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

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn every_name_is_one_of_a_header() {
        for (header, _) in WELL_KNOWN {
            assert_eq!(HeaderName::from_bytes(header.as_bytes()).unwrap().as_str(), header);
            assert_eq!(HeaderName::from_static(header), header);
        }
    }
}
