//! Opens a connection to the first of several hosts that accepts writes. A host that does not answer does not keep the
//! next one from being attempted: after a failover, the old primary may accept connections and hang.

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use tokio_postgres::{
    Config,
    config::{Host, LoadBalanceHosts},
};

use super::{error::Failure, server::Server, session::Session};

/// The first wait between two attempts to connect to a host. Doubles up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// How long a host may take before the next one is attempted at the same time.
const HEAD_START: Duration = Duration::from_secs(1);

/// A host, and the wait after its next failure.
struct Attempt {
    config: Config,
    backoff: Duration,
}

impl Attempt {
    async fn run(self, server: Server) -> (Self, Result<Session, Failure>) {
        let result = server.connect(self.config.clone()).await;
        (self, result)
    }

    async fn run_after_backoff(mut self, server: Server) -> (Self, Result<Session, Failure>) {
        sleep(self.backoff.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        self.run(server).await
    }
}

/// Attempts all hosts until one accepts the connection or `deadline` has passed. Each has a backoff of its own.
pub(super) async fn connect_to_any(server: &Server, deadline: Instant) -> Result<Session, Failure> {
    let mut hosts = single_hosts(&server.config).into_iter();
    let mut attempts: JoinSet<(Attempt, Result<Session, Failure>)> = JoinSet::new();
    let (mut failure, mut next) = (None, Instant::now());
    loop {
        let until = if hosts.len() > 0 { next.min(deadline) } else { deadline };
        match timeout_at(until, attempts.join_next()).await {
            Ok(Some(Ok((_, Ok(session))))) => return Ok(session),
            Ok(Some(Ok((attempt, Err(refused))))) => {
                next = Instant::now();
                if next + attempt.backoff >= deadline && attempts.is_empty() && hosts.len() == 0 {
                    return Err(refused);
                }
                failure = Some(refused);
                attempts.spawn(attempt.run_after_backoff(server.clone()));
            }
            Ok(Some(Err(error))) => return Err(Failure::NoConnection(error.to_string())),
            Err(_) if Instant::now() >= deadline => {
                let no_answer = || Failure::NoConnection("no answer in time".to_owned());
                return Err(failure.unwrap_or_else(no_answer));
            }
            // No attempt is running yet, or the next host is due.
            Ok(None) | Err(_) => {
                if let Some(config) = hosts.next() {
                    let attempt = Attempt { config, backoff: BACKOFF };
                    attempts.spawn(attempt.run(server.clone()));
                }
                next = Instant::now() + HEAD_START;
            }
        }
    }
}

/// The configuration of each host, in the order in which they are attempted.
pub(super) fn single_hosts(config: &Config) -> Vec<Config> {
    let number = config.get_hosts().len().max(config.get_hostaddrs().len());
    if number < 2 {
        return vec![config.clone()];
    }
    let mut all: Vec<_> = (0..number).map(|place| single_host(config, place)).collect();
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        fastrand::shuffle(&mut all);
    }
    all
}

/// The configuration of one of several hosts. The crate cannot remove hosts from a configuration.
fn single_host(config: &Config, place: usize) -> Config {
    let mut single = Config::new();
    match config.get_hosts().get(place) {
        Some(Host::Tcp(host)) => _ = single.host(host),
        #[cfg(unix)]
        Some(Host::Unix(path)) => _ = single.host_path(path),
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(place) {
        single.hostaddr(*address);
    }
    let ports = config.get_ports();
    if let Some(port) = ports.get(place).or(ports.first()) {
        single.port(*port);
    }
    if let Some(user) = config.get_user() {
        single.user(user);
    }
    if let Some(database) = config.get_dbname() {
        single.dbname(database);
    }
    if let Some(options) = config.get_options() {
        single.options(options);
    }
    if let Some(name) = config.get_application_name() {
        single.application_name(name);
    }
    if let Some(password) = config.get_password() {
        single.password(password);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        single.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        single.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        single.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        single.keepalives_retries(retries);
    }
    single
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    single
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_all_other_options_of_the_configuration() {
        let options = "user=u password=p dbname=d options=o application_name=a sslmode=require \
            sslnegotiation=direct connect_timeout=3 tcp_user_timeout=4 keepalives=0 keepalives_idle=5 \
            keepalives_interval=6 keepalives_retries=7 target_session_attrs=read-write channel_binding=require load_balance_hosts=disable";
        let all = format!("host=one,/two hostaddr=127.0.0.1,127.0.0.2 port=1,2 {options}");
        let single = single_hosts(&all.parse().unwrap());
        for (config, host) in single
            .iter()
            .zip(["host=one hostaddr=127.0.0.1 port=1", "host=/two hostaddr=127.0.0.2 port=2"])
        {
            assert_eq!(*config, format!("{host} {options}").parse().unwrap());
        }
        assert_eq!(single.len(), 2);
        let one_port = single_hosts(&"host=one,two port=1".parse().unwrap());
        assert_eq!(one_port[1], "host=two port=1".parse().unwrap());
        let one = "host=one".parse().unwrap();
        assert_eq!(single_hosts(&one), [one]);
    }
}
