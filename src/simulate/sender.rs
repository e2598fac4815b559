use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header, request::Parts};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    Fault, Message, Payloads, Report, Retries, Target,
    plan::{Abilities, HeadChange, Post, Signing, Step, plan},
    wire::{Timing, exchange},
};
use crate::signature::{Scheme, SignError};

/// The age of a stale signature. The tolerances of providers are minutes.
const STALE: Duration = Duration::from_secs(60 * 60);

/// The length of a huge header, in bytes.
const HUGE_HEADER: usize = 1 << 20;

/// The delay between two attempts to connect to a receiver that is restarted.
const CONNECT_DELAY: Duration = Duration::from_millis(20);

type RestartHook =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> + Send + Sync>;

/// Posts signed payloads to a receiver, with a fault on demand.
///
/// ```no_run
/// use tower_inbox::{
///     Secret,
///     provider::mindee,
///     simulate::{Fault, Payloads, Product, Sender, Target},
/// };
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let target = Target::url("http://127.0.0.1:3000/hooks/invoices")?;
/// let sender = Sender::new(target, mindee::signature(Secret::new("correct horse")));
/// for report in sender.run(Fault::HangUp, &Payloads::of_mindee(Product::Extraction)).await? {
///     println!("{}: {}", report.fault(), report.answer());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sender {
    target: Target,
    scheme: Arc<dyn Scheme>,
    second_scheme: Option<Arc<dyn Scheme>>,
    listing_scheme: Option<Arc<dyn Scheme>>,
    restart: Option<RestartHook>,
    oversized: usize,
    timing: Timing,
}

impl Sender {
    /// Creates a sender that signs with this scheme.
    pub fn new(target: Target, scheme: impl Scheme) -> Self {
        Self {
            target,
            scheme: Arc::new(scheme),
            second_scheme: None,
            listing_scheme: None,
            restart: None,
            oversized: 33 << 20,
            timing: Timing { pause: Duration::from_millis(50), timeout: Duration::from_secs(30) },
        }
    }

    /// Sets the scheme with the second secret that the receiver accepts during a rotation, for
    /// [`Fault::RotatedSignature`]. Default: none.
    pub fn second_scheme(mut self, scheme: impl Scheme) -> Self {
        self.second_scheme = Some(Arc::new(scheme));
        self
    }

    /// Sets the scheme that adds the signature of an unknown secret before the right one. Default: none.
    pub(super) fn listing_scheme(mut self, scheme: impl Scheme) -> Self {
        self.listing_scheme = Some(Arc::new(scheme));
        self
    }

    /// Sets the hook that restarts the receiver, for [`Fault::Restart`]. After the hook has returned, the sender waits until
    /// the receiver accepts connections, for at most the [timeout](Self::timeout). Default: none.
    pub fn restart_with<F>(mut self, hook: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        self.restart = Some(Arc::new(move || Box::pin(hook())));
        self
    }

    /// Sets the length of the body of [`Fault::OversizedBody`], in bytes. Default: 33 MiB, which is over the limit of
    /// most models of an [`Inbox`](crate::Inbox), 32 MiB.
    pub fn oversized(mut self, bytes: usize) -> Self {
        self.oversized = bytes;
        self
    }

    /// Sets the pause between the eight parts of the body of [`Fault::SlowBody`], and the maximum wait before a
    /// [`Fault::HangUp`]. Default: 50 ms.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.timing.pause = pause;
        self
    }

    /// Sets the maximum time from the connection to the response. Default: 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timing.timeout = timeout;
        self
    }

    /// Posts the requests of a fault, and returns their responses in the order of the requests.
    ///
    /// Dropping the future stops the fault; requests that were sent may have been received.
    ///
    /// # Errors
    ///
    /// [`NotRun::NotApplicable`] if the sender lacks what the fault needs; [`NotRun::Sign`] if the scheme cannot sign;
    /// [`NotRun::Restart`] if the hook fails. A response that is not expected is not an error.
    pub async fn run(&self, fault: Fault, payloads: &Payloads) -> Result<Vec<Report>, NotRun> {
        let abilities = self.abilities(payloads)?;
        let steps = plan(fault, payloads, abilities)
            .map_err(|reason| NotRun::NotApplicable { fault, reason })?;
        self.execute(fault, steps).await
    }

    /// Creates a message that is posted until the receiver accepts it.
    pub fn message(&self, body: impl Into<Bytes>, retries: Retries) -> Message {
        Message::new(self.clone(), body.into(), retries)
    }

    /// Posts a body once, with a signature that is made now.
    pub(super) async fn post(&self, id: &str, body: &Bytes) -> Result<Report, NotRun> {
        let post = Post::of(body.clone());
        let request = self.request(&post, id)?;
        Ok(send(&self.target, Fault::None, post, request, self.timing).await)
    }

    /// Finds out what the scheme covers, by signing.
    pub(super) fn abilities(&self, payloads: &Payloads) -> Result<Abilities, SignError> {
        let now = SystemTime::now();
        let signed = |body: &[u8], at| {
            let signature = self.scheme.signature("msg_1", body, at)?;
            let query = signature.query().map(|(_, value)| value.to_owned());
            Ok::<_, SignError>((signature.headers().clone(), query))
        };
        let current = signed(payloads.result(), now)?;
        let (headers, query) = &current;
        Ok(Abilities {
            signs_body: signed(payloads.other(), now)? != current,
            // A secret that was not valid then cannot sign, and the time is part of no signature.
            signs_time: signed(payloads.result(), now - STALE).is_ok_and(|stale| stale != current),
            is_signed: !headers.is_empty() || query.is_some(),
            has_second_secret: self.second_scheme.is_some(),
            lists_signatures: self.listing_scheme.is_some(),
            can_restart: self.restart.is_some(),
            oversized: self.oversized,
        })
    }

    async fn post_all(
        &self,
        fault: Fault,
        posts: Vec<Post>,
        ids: &MessageIds,
    ) -> Result<Vec<Report>, NotRun> {
        let mut running = JoinSet::new();
        for (number, post) in posts.into_iter().enumerate() {
            let request = self.request(&post, &ids.of(&post.body))?;
            let (target, timing) = (self.target.clone(), self.timing);
            running
                .spawn(async move { (number, send(&target, fault, post, request, timing).await) });
        }
        let mut reports = running.join_all().await;
        reports.sort_by_key(|(number, _)| *number);
        Ok(reports.into_iter().map(|(_, report)| report).collect())
    }

    pub(super) async fn execute(
        &self,
        fault: Fault,
        steps: Vec<Step>,
    ) -> Result<Vec<Report>, NotRun> {
        // The same id for each attempt of one message, as in Standard Webhooks.
        let ids = MessageIds::new();
        let mut reports = Vec::new();
        for step in steps {
            match step {
                Step::Post(posts) => reports.extend(self.post_all(fault, posts, &ids).await?),
                Step::Restart => self.restart().await?,
            }
        }
        Ok(reports)
    }

    fn request(&self, post: &Post, id: &str) -> Result<Request<Bytes>, NotRun> {
        let now = SystemTime::now();
        let (scheme, at) = match post.signing {
            Signing::Current => (&self.scheme, now),
            Signing::Stale => (&self.scheme, now - STALE),
            Signing::Rotated => (self.second_scheme.as_ref().unwrap_or(&self.scheme), now),
            Signing::Listed => (self.listing_scheme.as_ref().unwrap_or(&self.scheme), now),
        };
        let (mut head, body) = self.target.request(post.body.clone())?.into_parts();
        let signed = post.signed.as_ref().unwrap_or(&post.body);
        if post.head != HeadChange::Unsigned {
            scheme.signature(id, signed, at)?.add_to(&mut head)?;
        }
        change_head(&mut head, post.head)?;
        Ok(Request::from_parts(head, body))
    }

    async fn restart(&self) -> Result<(), NotRun> {
        let Some(hook) = &self.restart else { return Ok(()) };
        hook().await.map_err(NotRun::Restart)?;
        let accepts = async {
            while self.target.connect().await.is_err() {
                sleep(CONNECT_DELAY).await;
            }
        };
        let closed = |_| NotRun::Restart(io::ErrorKind::TimedOut.into());
        timeout(self.timing.timeout, accepts).await.map_err(closed)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("target", &self.target)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// Sends the request of a post, and reports its response.
async fn send(
    target: &Target,
    fault: Fault,
    post: Post,
    request: Request<Bytes>,
    timing: Timing,
) -> Report {
    let start = Instant::now();
    let answer = exchange(target, request, post.framing, timing).await;
    let (took, Post { body, expected, .. }) = (start.elapsed(), post);
    Report { fault, body, answer, took, expected }
}

fn change_head(head: &mut Parts, change: HeadChange) -> http::Result<()> {
    match change {
        HeadChange::None | HeadChange::Unsigned => {}
        HeadChange::Gzip => {
            head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        HeadChange::Get => head.method = Method::GET,
        HeadChange::UnknownPath => {
            let path = head.uri.path().trim_end_matches('/');
            let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            head.uri = format!("{path}/simulated-unknown-path{query}").parse()?;
        }
        HeadChange::WithoutContentType => {
            head.headers.remove(header::CONTENT_TYPE);
        }
        HeadChange::PlainText => {
            head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        HeadChange::HugeHeader => {
            let value = HeaderValue::from_bytes(&vec![b'a'; HUGE_HEADER])?;
            head.headers.insert(HeaderName::from_static("x-simulated"), value);
        }
    }
    Ok(())
}

/// The message ids of a run: one for each body.
struct MessageIds {
    run: Uuid,
}

impl MessageIds {
    fn new() -> Self {
        Self { run: Uuid::now_v7() }
    }

    fn of(&self, body: &[u8]) -> String {
        let digest = crate::delivery::Digest::of(body).to_string();
        let end: String = digest.chars().take(12).collect();
        format!("msg_{}_{end}", self.run.simple())
    }
}

/// Why a fault was not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRun {
    /// The sender lacks what the fault needs. Nothing was posted.
    #[error("the fault {fault} is not applicable: {reason}")]
    NotApplicable {
        /// The fault.
        fault: Fault,
        /// Why.
        reason: &'static str,
    },
    /// A request could not be signed.
    #[error("the request cannot be signed")]
    Sign(#[from] SignError),
    /// A request is invalid.
    #[error("the request cannot be built")]
    Request(#[from] http::Error),
    /// The hook that restarts the receiver failed.
    #[error("the receiver was not restarted")]
    Restart(#[source] io::Error),
}
