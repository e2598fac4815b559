//! Posts snapshots to webhooks, until they are accepted or their server is given up.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    num::NonZeroU32,
};

use bytes::Bytes;

use crate::simulate::{Report, Target, TargetError};

/// The maximum number of servers whose failures are counted, which bounds the memory of the service.
const SERVER_LIMIT: usize = 1000;

/// A webhook of a group or an image. The URL is the secret.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    pub(super) target: Target,
    server: String,
}

/// Why a URL is not accepted as a webhook.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error("use an http:// URL")]
    Target(#[from] TargetError),
    #[error("its host is neither a loopback address nor allowed by the simulator")]
    Host,
}

impl Webhook {
    pub(super) fn new(url: &str, hosts: &WebhookHosts) -> Result<Self, WebhookError> {
        let target = Target::url(url)?;
        let host = target.host();
        if !hosts.allow(host.host()) {
            return Err(WebhookError::Host);
        }
        let server = format!("{}:{}", host.host(), host.port_u16().unwrap_or(80));
        Ok(Self { server: server.to_ascii_lowercase(), target })
    }

    /// Returns the host and the port.
    pub(super) fn server(&self) -> &str {
        &self.server
    }
}

/// The hosts to which snapshots may be posted: those of the loopback interface, and others that are listed.
///
/// Webhook URLs come from clients. Without this limit, any client could post to any host that the simulator can reach.
#[derive(Clone, Debug, Default)]
pub(super) struct WebhookHosts(HashSet<String>);

impl WebhookHosts {
    pub(super) fn add(&mut self, host: &str) {
        self.0.insert(host.to_ascii_lowercase());
    }

    fn allow(&self, host: &str) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.is_loopback())
            || self.0.contains(&host.to_ascii_lowercase())
    }
}

/// A body to be posted.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) webhook: Webhook,
    pub(super) body: Bytes,
}

/// The number of failures in a row of each server, without those that have none.
#[derive(Debug)]
pub(super) struct Health {
    /// The number of failures after which a server is given up.
    limit: NonZeroU32,
    failures: HashMap<String, u32>,
}

impl Health {
    pub(super) fn new(limit: NonZeroU32) -> Self {
        Self { limit, failures: HashMap::new() }
    }

    pub(super) fn is_given_up(&self, server: &str) -> bool {
        self.failures.get(server).is_some_and(|failures| *failures >= self.limit.get())
    }

    /// Returns the servers that are given up, in alphabetical order.
    pub(super) fn given_up(&self) -> Vec<String> {
        let names = self.failures.keys().filter(|server| self.is_given_up(server));
        let mut names: Vec<_> = names.cloned().collect();
        names.sort();
        names
    }

    pub(super) fn record(&mut self, server: &str, report: &Report) {
        self.count(server, report.is_acknowledged());
    }

    fn count(&mut self, server: &str, is_accepted: bool) {
        if is_accepted {
            self.failures.remove(server);
        } else if let Some(failures) = self.failures.get_mut(server) {
            *failures = failures.saturating_add(1);
        } else if self.failures.len() < SERVER_LIMIT {
            self.failures.insert(server.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_listed_hosts_are_webhooks() {
        let mut hosts = WebhookHosts::default();
        hosts.add("App.test");
        let webhook = |url: &str| Webhook::new(url, &hosts);
        for url in [
            "http://localhost:3000/a",
            "http://127.9.0.1/",
            "http://[::1]:80/?a=b",
            "http://app.TEST/",
        ] {
            assert!(webhook(url).is_ok(), "{url}");
        }
        for url in [
            "http://example.com/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://[::2]/",
            "http://localhost.example.com/",
            "http://127.0.0.1@example.com/",
            "http://127.1/",
        ] {
            assert!(matches!(webhook(url), Err(WebhookError::Host)), "{url}");
        }
        assert!(matches!(webhook("https://localhost/"), Err(WebhookError::Target(_))));
        assert_eq!(webhook("http://LOCALHOST/").unwrap().server(), "localhost:80");
    }

    #[test]
    fn server_is_given_up_after_its_number_of_failures_in_a_row() {
        let mut health = Health::new(NonZeroU32::new(3).unwrap());
        for is_accepted in [false, false, true, false, false] {
            health.count("a:80", is_accepted);
            assert!(!health.is_given_up("a:80"));
        }
        health.count("b:80", false);
        health.count("a:80", false);
        assert_eq!(health.given_up(), ["a:80"]);
    }

    #[test]
    fn number_of_counted_servers_is_limited() {
        let mut health = Health::new(NonZeroU32::MIN);
        for port in 0..SERVER_LIMIT + 10 {
            health.count(&format!("a:{port}"), false);
        }
        assert_eq!(health.failures.len(), SERVER_LIMIT);
    }
}
