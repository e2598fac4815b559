//! Tokens of providers that do not sign, each in its place, and never in the archive.

use std::time::SystemTime;

use http::{HeaderName, Request, request::Parts};
use tower_inbox::{
    Secret,
    delivery::Head,
    provider::{deepgram, huggingface},
    signature::{HeaderToken, Scheme},
};

fn head(name: &HeaderName, value: &str) -> Parts {
    Request::post("/a").header(name, value).body(()).unwrap().into_parts().0
}

#[test]
fn token_in_the_header_of_its_provider_is_accepted_and_redacted() {
    for name in [deepgram::TOKEN, huggingface::SECRET] {
        let scheme = HeaderToken::new(name.clone(), Secret::new("hunter2"));
        let now = SystemTime::now();
        assert!(scheme.verify(&head(&name, "hunter2"), b"{}", now).is_ok());
        assert!(scheme.verify(&head(&name, "hunter3"), b"{}", now).is_err());
        assert!(
            scheme.verify(&head(&HeaderName::from_static("x-a"), "hunter2"), b"{}", now).is_err()
        );
        let archived = Head::of(&head(&name, "hunter2"), &scheme.redaction());
        assert!(!format!("{archived:?}").contains("hunter2"));
    }
}
