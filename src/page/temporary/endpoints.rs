//! The endpoints and what they received, in memory and within limits.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::request::Parts;

use super::token::Token;
use crate::page::address::RequestNumber;

/// The time after which an endpoint and its requests are removed.
pub(super) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The maximum number of endpoints at the same time.
pub(super) const MOST_ENDPOINTS: usize = 8;

/// The maximum number of requests of an endpoint. A new one removes the oldest.
pub(super) const MOST_REQUESTS: usize = 50;

/// The maximum size of all requests of an endpoint, in bytes. A new one removes the oldest.
pub(super) const MOST_BYTES: usize = 8 << 20;

/// The approximate memory of a header beside its name and value, in bytes.
const HEADER_OVERHEAD: usize = 100;

/// The endpoints of a page. Clones share them.
#[derive(Clone, Default)]
pub(in crate::page) struct Endpoints(Arc<Mutex<Store>>);

/// Why an endpoint cannot be created or found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::page) enum EndpointError {
    #[error("there are {MOST_ENDPOINTS} temporary endpoints, which is the maximum; delete one")]
    TooMany,
    #[error("the temporary endpoint does not exist, or has expired")]
    Unknown,
}

/// An endpoint as of now. Cheap to clone: the requests are shared.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// Its name on the page and in the log, because the token is a secret.
    pub(super) number: u64,
    pub(super) token: Token,
    pub(super) created_by: Arc<str>,
    pub(super) expires_at: SystemTime,
    /// The oldest first.
    pub(super) requests: VecDeque<Arc<ReceivedRequest>>,
    /// The number of requests so far.
    pub(super) received: u64,
}

/// A request that an endpoint received. Without `Debug`: its head may contain tokens.
pub(super) struct ReceivedRequest {
    pub(super) number: u64,
    pub(super) received_at: SystemTime,
    /// The head as it was sent, so that tokens can be checked, too. It is only shown redacted.
    pub(super) head: Parts,
    pub(super) body: Bytes,
}

#[derive(Default)]
struct Store {
    endpoints: Vec<Endpoint>,
    last_number: u64,
    revision: u64,
}

impl Endpoints {
    /// Creates an endpoint, and returns its number.
    pub(in crate::page) fn create(
        &self,
        user: Arc<str>,
        now: SystemTime,
    ) -> Result<u64, EndpointError> {
        let mut store = self.live(now);
        if store.endpoints.len() >= MOST_ENDPOINTS {
            return Err(EndpointError::TooMany);
        }
        store.last_number += 1;
        store.revision += 1;
        let number = store.last_number;
        store.endpoints.push(Endpoint {
            number,
            token: Token::new(),
            created_by: user,
            expires_at: now.checked_add(LIFETIME).unwrap_or(now),
            requests: VecDeque::new(),
            received: 0,
        });
        Ok(number)
    }

    /// Removes an endpoint with its requests.
    pub(in crate::page) fn delete(
        &self,
        number: u64,
        now: SystemTime,
    ) -> Result<(), EndpointError> {
        let mut store = self.live(now);
        let before = store.endpoints.len();
        store.endpoints.retain(|endpoint| endpoint.number != number);
        if store.endpoints.len() == before {
            return Err(EndpointError::Unknown);
        }
        store.revision += 1;
        Ok(())
    }

    /// Removes expired endpoints.
    pub(in crate::page) fn remove_expired(&self, now: SystemTime) {
        drop(self.live(now));
    }

    /// A number that changes whenever an endpoint is created or removed, or receives a request.
    pub(in crate::page) fn revision(&self) -> u64 {
        self.lock().revision
    }

    pub(super) fn all(&self, now: SystemTime) -> Vec<Endpoint> {
        self.live(now).endpoints.clone()
    }

    pub(super) fn endpoint(&self, number: u64, now: SystemTime) -> Option<Endpoint> {
        let store = self.live(now);
        store.endpoints.iter().find(|endpoint| endpoint.number == number).cloned()
    }

    pub(super) fn request(
        &self,
        of: RequestNumber,
        now: SystemTime,
    ) -> Option<Arc<ReceivedRequest>> {
        let endpoint = self.endpoint(of.endpoint, now)?;
        endpoint.requests.into_iter().find(|received| received.number == of.request)
    }

    /// The body of a request.
    pub(in crate::page) fn body(&self, of: RequestNumber, now: SystemTime) -> Option<Bytes> {
        self.request(of, now).map(|received| received.body.clone())
    }

    /// Returns true if an endpoint has this token. All tokens are compared, each in constant time.
    pub(super) fn has_token(&self, token: &str, now: SystemTime) -> bool {
        let store = self.live(now);
        store.endpoints.iter().fold(false, |found, endpoint| found | endpoint.token.is(token))
    }

    /// Adds a request to the endpoint with this token, and removes the oldest ones that are too many.
    pub(super) fn add(
        &self,
        token: &str,
        head: Parts,
        body: Bytes,
        now: SystemTime,
    ) -> Result<(), EndpointError> {
        let mut store = self.live(now);
        let endpoint = store.endpoints.iter_mut().find(|endpoint| endpoint.token.is(token));
        let endpoint = endpoint.ok_or(EndpointError::Unknown)?;
        endpoint.add(head, body, now);
        store.revision += 1;
        Ok(())
    }

    /// The store without expired endpoints.
    fn live(&self, now: SystemTime) -> MutexGuard<'_, Store> {
        let mut store = self.lock();
        let before = store.endpoints.len();
        store.endpoints.retain(|endpoint| now < endpoint.expires_at);
        if store.endpoints.len() < before {
            store.revision += 1;
        }
        store
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    fn add(&mut self, head: Parts, body: Bytes, received_at: SystemTime) {
        self.received += 1;
        let received = ReceivedRequest { number: self.received, received_at, head, body };
        self.requests.push_back(Arc::new(received));
        while self.requests.len() > MOST_REQUESTS
            || self.requests.iter().map(|received| received.size()).sum::<usize>() > MOST_BYTES
        {
            self.requests.pop_front();
        }
    }
}

impl ReceivedRequest {
    /// The approximate memory of the request, in bytes.
    pub(super) fn size(&self) -> usize {
        let Parts { uri, headers, .. } = &self.head;
        let headers =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD);
        let query = uri.query().unwrap_or_default();
        headers.sum::<usize>() + uri.path().len() + query.len() + self.body.len()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn add(endpoints: &Endpoints, number: u64, length: usize) {
        let token = endpoints.endpoint(number, NOW).unwrap().token;
        let (head, ()) = Request::post("/").body(()).unwrap().into_parts();
        endpoints.add(token.as_str(), head, vec![b'x'; length].into(), NOW).unwrap();
    }

    fn numbers(endpoints: &Endpoints, number: u64) -> Vec<u64> {
        let endpoint = endpoints.endpoint(number, NOW).unwrap();
        endpoint.requests.iter().map(|received| received.number).collect()
    }

    #[test]
    fn oldest_requests_of_an_endpoint_are_removed_beyond_the_number_and_size() {
        let endpoints = Endpoints::default();
        let one = endpoints.create("a".into(), NOW).unwrap();
        let other = endpoints.create("a".into(), NOW).unwrap();
        add(&endpoints, other, 1);
        for _ in 0..=MOST_REQUESTS {
            add(&endpoints, one, 1);
        }
        let most = u64::try_from(MOST_REQUESTS).unwrap();
        assert_eq!(numbers(&endpoints, one), (2..=most + 1).collect::<Vec<_>>());
        add(&endpoints, one, MOST_BYTES - 1);
        assert_eq!(numbers(&endpoints, one), [most + 2]);
        assert_eq!(numbers(&endpoints, other), [1], "another endpoint keeps its requests");
    }

    #[test]
    fn revision_changes_with_creation_request_deletion_and_expiry() {
        let endpoints = Endpoints::default();
        let mut seen = vec![endpoints.revision()];
        let number = endpoints.create("a".into(), NOW).unwrap();
        seen.push(endpoints.revision());
        add(&endpoints, number, 1);
        seen.push(endpoints.revision());
        endpoints.delete(number, NOW).unwrap();
        seen.push(endpoints.revision());
        endpoints.create("a".into(), NOW).unwrap();
        let before = endpoints.revision();
        endpoints.remove_expired(NOW + LIFETIME);
        seen.extend([before, endpoints.revision()]);
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "{seen:?}");
    }

    #[test]
    fn deleted_endpoint_and_unknown_token_are_errors() {
        let endpoints = Endpoints::default();
        let number = endpoints.create("a".into(), NOW).unwrap();
        let token = endpoints.endpoint(number, NOW).unwrap().token;
        assert!(endpoints.has_token(token.as_str(), NOW));
        endpoints.delete(number, NOW).unwrap();
        assert_eq!(endpoints.delete(number, NOW), Err(EndpointError::Unknown));
        assert!(!endpoints.has_token(token.as_str(), NOW));
        let (head, ()) = Request::post("/").body(()).unwrap().into_parts();
        let added = endpoints.add(token.as_str(), head, Bytes::new(), NOW);
        assert_eq!(added, Err(EndpointError::Unknown));
    }
}
