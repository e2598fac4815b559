use std::{fmt, future::Future, io, sync::Arc};

use super::Scenario;
use crate::{
    provider::mindee::signature,
    signature::{QueryToken, Scheme, Secret, SecretSet, StandardWebhooks},
    simulate::{Fault, NotRun, Payloads, Product, Report, Sender, Target},
};

/// The secret of a signature that a receiver has to skip.
const UNKNOWN_SECRET: &str = "whsec_YW4gdW5rbm93biBzZWNyZXQgb2YgdGhlIHNlbmRlcg==";

/// Tests a receiver with all [scenarios](Scenario), as a black box: only its responses are judged.
///
/// | sender | see |
/// |---|---|
/// | Mindee V2 | [`mindee`](Self::mindee) |
/// | Standard Webhooks: OpenAI, Replicate and others | [`standard`](Self::standard) |
/// | FoxyAI | [`foxyai`](Self::foxyai) |
/// | any other | [`new`](Self::new) |
///
/// ```
/// use axum::{Router, http::StatusCode, routing::post};
/// use tower_inbox::{
///     Inbox, MemoryArchive, Secret,
///     provider::mindee,
///     simulate::{Gauntlet, Target, VerdictKind},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = Secret::new("correct horse");
/// let model = mindee::extraction::<mindee::Fields>().signed_with(secret.clone()).body_limit(2 << 20);
/// let inbox = Inbox::builder(MemoryArchive::new()).model("/hooks/invoices", model).build()?;
/// let routes = Router::new().route("/hooks/invoices", post(async || StatusCode::OK));
/// let target = Target::service(routes.layer(inbox.layer()), "/hooks/invoices")?;
///
/// for verdict in Gauntlet::mindee(target, secret).oversized(3 << 20).run().await? {
///     assert_ne!(verdict.kind(), VerdictKind::Fail, "{verdict}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gauntlet {
    sender: Sender,
    payloads: Arc<dyn Fn() -> Payloads + Send + Sync>,
}

impl Gauntlet {
    /// Tests a receiver of any provider: with its scheme, and with new payloads for each scenario.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use tower_inbox::{
    ///     Secret,
    ///     signature::HmacBody,
    ///     simulate::{Gauntlet, Payloads, Target},
    /// };
    ///
    /// let target = Target::url("http://127.0.0.1:3000/hooks/captions")?;
    /// let scheme = HmacBody::sha256("x-acme-signature", Secret::new("correct horse"));
    /// let number = AtomicU32::new(0);
    /// let caption = move || format!(r#"{{"id": {}, "caption": "teapots"}}"#, number.fetch_add(1, Ordering::Relaxed));
    /// let gauntlet = Gauntlet::new(target, scheme, move || Payloads::new(caption(), caption()));
    /// # let _ = gauntlet;
    /// # Ok::<(), tower_inbox::simulate::TargetError>(())
    /// ```
    pub fn new(
        target: Target,
        scheme: impl Scheme,
        payloads: impl Fn() -> Payloads + Send + Sync + 'static,
    ) -> Self {
        Self { sender: Sender::new(target, scheme), payloads: Arc::new(payloads) }
    }

    /// Tests a receiver of extractions of Mindee V2 with this secret.
    pub fn mindee(target: Target, secret: impl Into<SecretSet>) -> Self {
        Self::new(target, signature(secret), || Payloads::of_mindee(Product::Extraction))
    }

    /// Tests a receiver of [events](Payloads::of_standard) of Standard Webhooks with this secret.
    pub fn standard(target: Target, secret: Secret) -> Self {
        let list = [Secret::new(UNKNOWN_SECRET), secret.clone()];
        let gauntlet = Self::new(target, StandardWebhooks::new(secret), Payloads::of_standard);
        let sender = gauntlet.sender.listing_scheme(StandardWebhooks::new(list));
        Self { sender, ..gauntlet }
    }

    /// Tests a receiver of image groups of FoxyAI, whose URL has a token in this query parameter. Leave the token out of
    /// the URL of the target.
    pub fn foxyai(
        target: Target,
        parameter: impl Into<String>,
        token: impl Into<SecretSet>,
    ) -> Self {
        Self::new(target, QueryToken::new(parameter, token), || {
            let completed = Payloads::of_foxyai().pop();
            // There is always a completed group.
            completed.unwrap_or_else(|| Payloads::new("{}", "{}"))
        })
    }

    /// Sets a second scheme that the receiver accepts: see [`Sender::second_scheme`].
    pub fn second_scheme(mut self, scheme: impl Scheme) -> Self {
        self.sender = self.sender.second_scheme(scheme);
        self
    }

    /// Sets the hook that restarts the receiver: see [`Sender::restart_with`].
    pub fn restart_with<F>(mut self, hook: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        self.sender = self.sender.restart_with(hook);
        self
    }

    /// Sets the length of bodies over the limit of the receiver, in bytes: see [`Sender::oversized`].
    pub fn oversized(mut self, bytes: usize) -> Self {
        self.sender = self.sender.oversized(bytes);
        self
    }

    /// Sets the maximum time from a connection to the response: see [`Sender::timeout`].
    pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
        self.sender = self.sender.timeout(timeout);
        self
    }

    /// Runs all scenarios, one after the other, and returns their verdicts.
    ///
    /// # Errors
    ///
    /// See [`run_one`](Self::run_one).
    pub async fn run(&self) -> Result<Vec<Verdict>, NotRun> {
        let mut verdicts = Vec::new();
        for scenario in Scenario::all() {
            verdicts.push(self.run_one(scenario).await?);
        }
        Ok(verdicts)
    }

    /// Runs one scenario with new payloads.
    ///
    /// # Errors
    ///
    /// If a request cannot be signed, or the restart fails.
    pub async fn run_one(&self, scenario: Scenario) -> Result<Verdict, NotRun> {
        let payloads = (self.payloads)();
        let abilities = self.sender.abilities(&payloads)?;
        let result = match scenario.plan(&payloads, abilities) {
            Ok(steps) => judge(&self.sender.execute(Fault::None, steps).await?),
            Err(reason) => Judgement::NotApplicable(reason),
        };
        Ok(Verdict { scenario, result })
    }
}

impl fmt::Debug for Gauntlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauntlet").field("sender", &self.sender).finish_non_exhaustive()
    }
}

/// The result of one scenario.
#[derive(Clone, Debug)]
pub struct Verdict {
    scenario: Scenario,
    result: Judgement,
}

#[derive(Clone, Debug)]
enum Judgement {
    Pass,
    Fail(String),
    NotApplicable(&'static str),
}

/// Whether a receiver passed a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictKind {
    /// All responses were expected.
    Pass,
    /// A response was not expected.
    Fail,
    /// The sender lacks what the scenario needs.
    NotApplicable,
}

impl VerdictKind {
    /// Returns `pass`, `fail` or `not-applicable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotApplicable => "not-applicable",
        }
    }
}

impl Verdict {
    /// Returns the scenario.
    pub fn scenario(&self) -> Scenario {
        self.scenario
    }

    /// Returns whether the receiver passed.
    pub fn kind(&self) -> VerdictKind {
        match self.result {
            Judgement::Pass => VerdictKind::Pass,
            Judgement::Fail(_) => VerdictKind::Fail,
            Judgement::NotApplicable(_) => VerdictKind::NotApplicable,
        }
    }

    /// Returns why the receiver failed, or why the scenario is not applicable.
    pub fn reason(&self) -> Option<&str> {
        match &self.result {
            Judgement::Pass => None,
            Judgement::Fail(reason) => Some(reason),
            Judgement::NotApplicable(reason) => Some(reason),
        }
    }
}

/// `fail exact-bytes: request 1: 401 Unauthorized, expected 2xx`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind().name(), self.scenario)?;
        self.reason().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// Names the first response that is not expected.
fn judge(reports: &[Report]) -> Judgement {
    let mut numbered = (1..).zip(reports);
    match numbered.find(|(_, report)| !report.is_expected()) {
        None => Judgement::Pass,
        Some((number, report)) => {
            let (answer, expected) = (report.answer(), report.expected());
            Judgement::Fail(format!("request {number}: {answer}, expected {expected}"))
        }
    }
}
