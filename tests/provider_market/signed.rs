//! Signed deliveries, and the check that only the exact delivery is accepted.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, Request, request::Parts};
use tower_inbox::{Secret, provider::SignedProvider, signature::Scheme};

/// A secret that never signs, in a format that every scheme accepts.
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A signed delivery: its body, the Unix time of its signing, and its headers.
pub(crate) struct Signed {
    pub(crate) body: &'static [u8],
    pub(crate) at: u64,
    pub(crate) headers: &'static [(&'static str, &'static str)],
}

impl Signed {
    pub(crate) fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.at)
    }

    pub(crate) fn head(&self) -> Parts {
        let request = Request::post("/a");
        let add = |request: http::request::Builder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        self.headers.iter().fold(request, add).body(()).unwrap().into_parts().0
    }

    fn without(&self, name: &HeaderName) -> Parts {
        let mut head = self.head();
        head.headers.remove(name).unwrap();
        head
    }

    fn with_twice(&self, name: &HeaderName) -> Parts {
        let mut head = self.head();
        let value = head.headers.get(name).unwrap().clone();
        head.headers.append(name, value);
        head
    }

    /// Returns the head with the first character of every signature changed.
    fn with_another_signature(&self) -> Parts {
        let mut head = self.head();
        let mut altered = 0;
        for value in head.headers.values_mut() {
            let text = value.to_str().unwrap().to_owned();
            let is_signature = |piece: &&str| piece.len() >= 40;
            for signature in text.split([',', ' ', '=']).filter(is_signature) {
                let (first, rest) = signature.split_at(1);
                let other = if first == "a" { "b" } else { "a" };
                let old = value.to_str().unwrap();
                *value = old.replace(signature, &format!("{other}{rest}")).parse().unwrap();
                altered += 1;
            }
        }
        assert!(altered > 0, "no signature was found");
        head
    }

    /// Asserts that the scheme accepts this delivery, and no modification of it.
    pub(crate) fn is_all_that_is_accepted_by(&self, scheme: &dyn Scheme, other: &dyn Scheme) {
        let at = self.at();
        scheme.check().unwrap();
        scheme.verify(&self.head(), self.body, at).unwrap();
        assert!(other.verify(&self.head(), self.body, at).is_err(), "another secret");
        let spaced = [self.body, b" "].concat();
        assert!(scheme.verify(&self.head(), &spaced, at).is_err(), "another body");
        let another = self.with_another_signature();
        assert!(scheme.verify(&another, self.body, at).is_err(), "another signature");
        let names: HeaderMap = self.head().headers;
        for name in names.keys() {
            assert!(scheme.verify(&self.without(name), self.body, at).is_err(), "no {name}");
            assert!(scheme.verify(&self.with_twice(name), self.body, at).is_err(), "twice {name}");
        }
    }

    pub(crate) fn is_all_that_is_accepted_of<P: SignedProvider>(&self, secret: &str) {
        let scheme = |secret: &str| P::scheme(Secret::new(secret).into());
        self.is_all_that_is_accepted_by(&scheme(secret), &scheme(OTHER));
    }

    /// Asserts the number of seconds before and after the signing within which the delivery is accepted.
    pub(crate) fn is_accepted_within<P: SignedProvider>(
        &self,
        secret: &str,
        before: Option<u64>,
        after: u64,
    ) {
        let scheme = P::scheme(Secret::new(secret).into());
        let accepted = |at: SystemTime| scheme.verify(&self.head(), self.body, at).is_ok();
        let seconds = Duration::from_secs;
        assert!(accepted(self.at() + seconds(after)));
        assert!(!accepted(self.at() + seconds(after + 1)));
        match before {
            Some(before) => {
                assert!(accepted(self.at() - seconds(before)));
                assert!(!accepted(self.at() - seconds(before + 1)));
            }
            None => assert!(accepted(SystemTime::UNIX_EPOCH)),
        }
    }
}
