use http::StatusCode;
use serde::Deserialize;

use super::response::{ErrorResponse, JobStatus};
use crate::{
    provider::{
        HttpClient, Recover, RecoverError, Recovered, Recovering, decode_json,
        recover::{ApiClient, segment, unexpected},
    },
    signature::Secret,
};

/// The API, which is also that of Mindee's clients.
const API: &str = "https://api-v2.mindee.net";

/// Fetches results of Mindee by the id of their job, which enqueuing returned.
///
/// Requests the job, and then its result. Mindee keeps results for 1 to 24 h after processing, 12 h by default, and may
/// delete one as soon as it was fetched (pages on webhooks and on the storage of results). A job that failed has no
/// result: what Mindee says about it becomes the reason.
///
/// `client` is any tower service that sends requests, such as the client of `hyper-util` with TLS.
///
/// ```
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower_inbox::{Secret, provider::mindee};
///
/// let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
/// let recovery = mindee::Recovery::new(client, Secret::new("md_correct_horse"));
/// # let _ = recovery;
/// ```
#[derive(Clone, Debug)]
pub struct Recovery<C>(ApiClient<C>);

/// The members of a [`JobResponse`](super::JobResponse) that are needed: others may be missing.
#[derive(Deserialize)]
struct JobResponse {
    job: Job,
}

#[derive(Deserialize)]
struct Job {
    status: JobStatus,
    result_url: Option<String>,
    error: Option<ErrorResponse>,
}

impl<C: HttpClient> Recovery<C> {
    /// Fetches results with this API key.
    pub fn new(client: C, api_key: Secret) -> Self {
        Self(ApiClient::new(client, API, "", api_key))
    }

    /// Sets the URL of the API, without a path. Default: `https://api-v2.mindee.net`. The API key is sent to this host
    /// only.
    pub fn api(mut self, url: impl Into<String>) -> Self {
        self.0.set_base(url.into());
        self
    }

    async fn fetch(&self, id: &str) -> Result<Recovered, RecoverError> {
        let response = self.0.get(&format!("/v2/jobs/{}?redirect=false", segment(id))).await?;
        match response.status() {
            StatusCode::OK | StatusCode::FOUND => {}
            StatusCode::NOT_FOUND => return Ok(Recovered::Gone("Mindee has no such job".into())),
            status => return Err(unexpected(status)),
        }
        let decoded = decode_json::<JobResponse>(response.body());
        let JobResponse { job } = decoded.map_err(|error| {
            RecoverError::new("the job in Mindee's response cannot be read").because(error)
        })?;
        match (job.status, job.result_url) {
            (JobStatus::Failed, _) => Ok(Recovered::Gone(failure(job.error.as_ref()))),
            (JobStatus::Processed, Some(url)) => self.result(&url).await,
            _ => Ok(Recovered::NotReady),
        }
    }

    async fn result(&self, url: &str) -> Result<Recovered, RecoverError> {
        // The key must not be sent to another host.
        let path = url.strip_prefix(self.0.base()).filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| {
            RecoverError::new(
                "the URL of the result is not below that of the API; see Recovery::api",
            )
        })?;
        let response = self.0.get(path).await?;
        match response.status() {
            StatusCode::OK => Ok(Recovered::Result(response.into_body())),
            StatusCode::NOT_FOUND => Ok(Recovered::Gone("Mindee has deleted the result".into())),
            status => Err(unexpected(status)),
        }
    }
}

fn failure(error: Option<&ErrorResponse>) -> String {
    let detail = error.and_then(|error| error.detail.as_ref()?.as_str());
    let code = error.and_then(|error| error.code.as_deref());
    format!("the job failed: {}", detail.or(code).unwrap_or("Mindee states no reason"))
}

impl<C: HttpClient> Recover for Recovery<C> {
    fn recover<'r>(&'r self, id: &'r str) -> Recovering<'r> {
        Box::pin(self.fetch(id))
    }
}
