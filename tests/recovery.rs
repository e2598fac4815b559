//! Results that are fetched from the API of a provider. The API is a service in the test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it expects by panicking"
)]

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use tower::service_fn;
use tower_inbox::{
    Secret,
    provider::{HttpClient, Recover, Recovered, mindee, replicate},
};

const KEY: &str = "md_correct_horse";

/// The requests that an API has received: the URL and the key of each.
#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<(String, String)>>>);

impl Requests {
    fn urls(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(url, _)| url.clone()).collect()
    }
}

/// An API that responds to each path with a status and a body.
fn api(requests: &Requests, responses: &[(&'static str, u16, &'static str)]) -> impl HttpClient {
    let (requests, responses) = (requests.clone(), responses.to_vec());
    service_fn(move |request: Request<Full<Bytes>>| {
        let key = request.headers()[header::AUTHORIZATION].clone();
        assert!(key.is_sensitive(), "{key:?}");
        requests
            .0
            .lock()
            .unwrap()
            .push((request.uri().to_string(), key.to_str().unwrap().to_owned()));
        let path = request.uri().path_and_query().unwrap().as_str();
        let found = responses.iter().find(|(of, _, _)| *of == path);
        let (status, body) = found.map_or((404, "{}"), |(_, status, body)| (*status, *body));
        let response = Response::builder().status(status).body(Full::from(body));
        async move { Ok::<_, Infallible>(response.unwrap()) }
    })
}

const JOB: &str = "/v2/jobs/job-1?redirect=false";

async fn of_mindee(responses: &[(&'static str, u16, &'static str)]) -> (Requests, String) {
    let requests = Requests::default();
    let recovery = mindee::Recovery::new(api(&requests, responses), Secret::new(KEY));
    let recovered = recovery.recover("job-1").await;
    (requests, recovered.map_or_else(|error| format!("error: {error}"), text))
}

fn text(recovered: Recovered) -> String {
    match recovered {
        Recovered::Result(body) => format!("result: {}", std::str::from_utf8(&body).unwrap()),
        Recovered::NotReady => "not ready".into(),
        Recovered::Gone(reason) => format!("gone: {reason}"),
        _ => panic!("another variant"),
    }
}

#[tokio::test]
async fn result_of_a_mindee_job_is_fetched_with_the_bare_key() {
    let job = r#"{"job": {"status": "Processed",
        "result_url": "https://api-v2.mindee.net/v2/inferences/i-1"}}"#;
    let responses = [(JOB, 200, job), ("/v2/inferences/i-1", 200, r#"{"inference": 1}"#)];
    let (requests, result) = of_mindee(&responses).await;
    assert_eq!(result, r#"result: {"inference": 1}"#);
    assert_eq!(
        *requests.0.lock().unwrap(),
        [
            (format!("https://api-v2.mindee.net{JOB}"), KEY.to_owned()),
            ("https://api-v2.mindee.net/v2/inferences/i-1".to_owned(), KEY.to_owned()),
        ]
    );
}

#[tokio::test]
async fn mindee_job_that_is_processing_or_of_unknown_status_is_not_ready() {
    for job in [
        r#"{"job": {"status": "Processing", "result_url": null}}"#,
        r#"{"job": {"status": "Paused", "new": []}}"#,
        r#"{"job": {"status": "Processed"}}"#,
    ] {
        assert_eq!(of_mindee(&[(JOB, 200, job)]).await.1, "not ready", "{job}");
    }
}

#[tokio::test]
async fn mindee_job_that_failed_or_is_unknown_is_gone() {
    let failed =
        r#"{"job": {"status": "Failed", "error": {"status": 422, "detail": "not a PDF"}}}"#;
    assert_eq!(of_mindee(&[(JOB, 200, failed)]).await.1, "gone: the job failed: not a PDF");
    let code = r#"{"job": {"status": "Failed", "error": {"code": "500-012"}}}"#;
    assert_eq!(of_mindee(&[(JOB, 200, code)]).await.1, "gone: the job failed: 500-012");
    assert_eq!(of_mindee(&[]).await.1, "gone: Mindee has no such job");
    let job = r#"{"job": {"status": "Processed",
        "result_url": "https://api-v2.mindee.net/v2/inferences/i-1"}}"#;
    assert_eq!(of_mindee(&[(JOB, 200, job)]).await.1, "gone: Mindee has deleted the result");
}

#[tokio::test]
async fn key_of_mindee_is_not_sent_to_the_host_of_a_foreign_result_url() {
    for url in [
        "https://evil.example/v2/inferences/i-1",
        "https://api-v2.mindee.net.evil.example/v2/inferences/i-1",
        "https://api-v2.mindee.net@evil.example/",
        "/v2/inferences/i-1",
    ] {
        let job = format!(r#"{{"job": {{"status": "Processed", "result_url": "{url}"}}}}"#);
        let (requests, result) = of_mindee(&[(JOB, 200, job.leak())]).await;
        assert!(result.starts_with("error: the URL of the result"), "{result}");
        assert_eq!(requests.urls().len(), 1, "{url}");
    }
}

#[tokio::test]
async fn errors_of_the_api_are_retried_and_name_the_status() {
    for status in [401, 403, 422, 429, 500] {
        let (_, result) = of_mindee(&[(JOB, status, "{}")]).await;
        assert!(result.starts_with("error: ") && result.contains(&status.to_string()), "{result}");
        assert_eq!(result.contains("check the API key"), status < 404, "{result}");
        assert!(!result.contains(KEY));
    }
    let (_, result) = of_mindee(&[(JOB, 200, "<html>")]).await;
    assert_eq!(result, "error: the job in Mindee's response cannot be read");
}

#[tokio::test]
async fn unreachable_api_is_an_error_with_its_cause() {
    let down = service_fn(async |_: Request<Full<Bytes>>| {
        Err::<Response<Full<Bytes>>, _>(io::Error::from(io::ErrorKind::ConnectionRefused))
    });
    let recovery = mindee::Recovery::new(down, Secret::new(KEY));
    let error = recovery.recover("job-1").await.unwrap_err();
    assert_eq!(error.to_string(), "the API cannot be reached");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("refused"));
    assert!(!format!("{recovery:?} {error:?}").contains(KEY));
}

#[tokio::test]
async fn id_with_special_characters_is_one_segment_of_the_path() {
    let requests = Requests::default();
    let recovery =
        mindee::Recovery::new(api(&requests, &[]), Secret::new(KEY)).api("http://127.0.0.1:1/");
    let _ = recovery.recover("../a?b#c/%\u{e9}\n").await.unwrap();
    let expected = "http://127.0.0.1:1/v2/jobs/%2E%2E%2Fa%3Fb%23c%2F%25%C3%A9%0A?redirect=false";
    assert_eq!(requests.urls(), [expected]);
}

#[tokio::test]
async fn prediction_of_replicate_is_a_result_once_its_status_is_final() {
    let requests = Requests::default();
    for (status, expected) in [
        ("starting", "not ready"),
        ("processing", "not ready"),
        ("new", "not ready"),
        ("succeeded", r#"result: {"id": "p1", "status": "succeeded"}"#),
        ("failed", r#"result: {"id": "p1", "status": "failed"}"#),
    ] {
        let body = format!(r#"{{"id": "p1", "status": "{status}"}}"#).leak();
        let client = api(&requests, &[("/v1/predictions/p1", 200, body)]);
        let recovery = replicate::Recovery::new(client, Secret::new("r8_key"));
        assert_eq!(text(recovery.recover("p1").await.unwrap()), expected);
    }
    let (url, key) = requests.0.lock().unwrap()[0].clone();
    assert_eq!(url, "https://api.replicate.com/v1/predictions/p1");
    assert_eq!(key, "Bearer r8_key");
    let recovery = replicate::Recovery::new(api(&requests, &[]), Secret::new("r8_key"));
    assert!(text(recovery.recover("p1").await.unwrap()).starts_with("gone"));
}
