//! The simulated API of Mindee: jobs, results, storage, and webhooks.

use std::{num::NonZeroU32, time::Duration};

use http::{Request, StatusCode};
use serde_json::json;
use tower::ServiceExt;
use tower_inbox::{
    MemoryArchive, Secret,
    simulate::{Mindee, Target, Webhook},
};

use crate::support::{Client, Effects, PATH, SECRET, archived, inbox, target};

fn webhook(id: &str, target: Target) -> Webhook {
    Webhook::new(id, target, Secret::new(SECRET))
}

fn nowhere() -> Target {
    // No server listens on the discard port of the loopback interface.
    Target::url("http://127.0.0.1:9/").unwrap()
}

/// Returns the path of a URL in a response.
fn path(url: &serde_json::Value) -> &str {
    url.as_str().unwrap().strip_prefix("http://localhost").unwrap()
}

#[tokio::test]
async fn posted_body_is_the_polled_one_for_each_webhook() {
    let (inbox, effects) = (inbox(MemoryArchive::new()), Effects::default());
    let target = target(&inbox, &effects);
    let client = Client(
        Mindee::builder()
            .webhook(webhook("w1", target.clone()))
            .webhook(webhook("w2", target))
            .webhook(webhook("unused", nowhere()))
            .build(),
    );
    let job = client.finished("m1", "w1,w2").await;
    assert_eq!((&job["status"], &job["model_id"]), (&json!("Processed"), &json!("m1")));
    for (call, id) in job["webhooks"].as_array().unwrap().iter().zip(["w1", "w2"]) {
        assert_eq!((&call["id"], &call["status"]), (&json!(id), &json!("Processed")));
        assert_eq!(call["attempts_count"], 1);
    }
    let (status, result) = client.get(path(&job["result_url"])).await;
    assert_eq!((status, &result["inference"]["job"]["id"]), (StatusCode::OK, &job["id"]));
    inbox.settled().await;
    let bodies = archived(&inbox).await;
    assert_eq!(bodies.len(), 1, "the second post is a repeat");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&bodies[0]).unwrap(), result);
    assert_eq!(effects.all(), [1]);
}

#[tokio::test(start_paused = true)]
async fn job_is_processing_for_its_time_and_then_redirects_to_the_result() {
    let client = Client(Mindee::builder().processing_time(Duration::from_secs(10)).build());
    let (_, enqueued) = client.enqueue("m1", "").await;
    let polling = path(&enqueued["job"]["polling_url"]);
    tokio::time::sleep(Duration::from_secs(9)).await;
    let (status, job) = client.get(polling).await;
    assert_eq!((status, &job["job"]["status"]), (StatusCode::OK, &json!("Processing")));
    assert_eq!(job["job"]["result_url"], json!(null));
    client.0.idle().await;
    let (status, job) = client.get(polling).await;
    assert_eq!((status, &job["job"]["status"]), (StatusCode::FOUND, &json!("Processed")));
    let (status, _) = client.get(&format!("{polling}?redirect=false")).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn deleted_or_unknown_webhook_is_an_error_at_enqueue() {
    let client = Client(Mindee::builder().webhook(webhook("w1", nowhere())).build());
    assert_eq!(client.enqueue("m1", "w1").await.0, 202);
    assert!(client.0.delete_webhook("w1") && !client.0.delete_webhook("w1"));
    for id in ["w1", "w2"] {
        let (status, problem) = client.enqueue("m1", id).await;
        assert_eq!(status, 422);
        assert_eq!(problem["errors"][0]["pointer"], "webhook_ids", "{problem}");
    }
}

#[tokio::test]
async fn lost_webhook_is_recorded_as_failed_and_its_result_can_be_polled() {
    let (inbox, effects) = (inbox(MemoryArchive::new()), Effects::default());
    let lost = webhook("w1", target(&inbox, &effects)).lost();
    let client = Client(Mindee::builder().webhook(lost).delete_when_fetched().build());
    let job = client.finished("m1", "w1").await;
    assert_eq!(job["webhooks"][0]["status"], "Failed");
    assert!(archived(&inbox).await.is_empty());
    assert_eq!(client.get(path(&job["result_url"])).await.0, 200);
    assert_eq!(client.get(path(&job["result_url"])).await.0, 404, "deleted when fetched");
}

#[tokio::test]
async fn accepted_webhook_deletes_the_result_if_results_are_deleted_when_fetched() {
    let (inbox, effects) = (inbox(MemoryArchive::new()), Effects::default());
    let accepted = || webhook("w1", target(&inbox, &effects));
    let client = Client(Mindee::builder().webhook(accepted()).delete_when_fetched().build());
    let job = client.finished("m1", "w1").await;
    assert_eq!(client.get(path(&job["result_url"])).await.0, 404);
    assert_eq!(archived(&inbox).await.len(), 1, "the only copy");
    let client = Client(Mindee::builder().webhook(accepted()).build());
    let job = client.finished("m1", "w1").await;
    assert_eq!(client.get(path(&job["result_url"])).await.0, 200, "the default keeps it");
}

#[tokio::test(start_paused = true)]
async fn result_expires_after_the_storage_time() {
    let client = Client(Mindee::builder().storage(Duration::from_secs(60)).build());
    let job = client.finished("m1", "").await;
    let result = path(&job["result_url"]);
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(client.get(result).await.0, 200);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(client.get(result).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn webhook_is_called_again_up_to_its_attempts() {
    let failing = webhook("w1", Target::service(axum::Router::new(), PATH).unwrap());
    let three = NonZeroU32::new(3).unwrap();
    let failing = failing.attempts(three, Duration::from_secs(30));
    let client = Client(Mindee::builder().webhook(failing).build());
    let start = tokio::time::Instant::now();
    let job = client.finished("m1", "w1").await;
    assert_eq!(start.elapsed().as_secs(), 60);
    let call = &job["webhooks"][0];
    assert_eq!((&call["status"], &call["attempts_count"]), (&json!("Failed"), &json!(3)));
    assert_eq!(call["error"]["detail"], "404 Not Found");
}

#[tokio::test]
async fn failed_job_posts_the_failure_and_has_no_result() {
    let (inbox, effects) = (inbox(MemoryArchive::new()), Effects::default());
    let mindee = Mindee::builder()
        .webhook(webhook("w1", target(&inbox, &effects)))
        .failing_model("broken")
        .build();
    let job = Client(mindee).finished("broken", "w1").await;
    assert_eq!((&job["status"], &job["result_url"]), (&json!("Failed"), &json!(null)));
    assert_eq!(job["error"]["code"], "500-012");
    let bodies = archived(&inbox).await;
    let failure: serde_json::Value = serde_json::from_slice(&bodies[0]).unwrap();
    assert_eq!(failure["model_id"], "broken");
    assert_eq!(effects.all(), [1], "a failed inference is handled too");
}

#[tokio::test]
async fn result_of_a_model_is_the_given_one_with_the_ids_of_the_job() {
    let given = json!({"inference": {"id": "x", "result": {"fields": {"total": {"value": 7}}}}});
    let client = Client(Mindee::builder().result("m1", given).build());
    let job = client.finished("m1", "").await;
    let (_, result) = client.get(path(&job["result_url"])).await;
    assert_eq!(result["inference"]["result"]["fields"]["total"]["value"], 7);
    assert!(path(&job["result_url"]).ends_with(result["inference"]["id"].as_str().unwrap()));
}

#[tokio::test]
async fn missing_and_wrong_api_keys_are_unauthorized() {
    let status = async |mindee: Mindee, key: Option<&str>| {
        let mut request = Request::get("/v2/jobs/j");
        if let Some(key) = key {
            request = request.header("authorization", key);
        }
        mindee.oneshot(request.body(String::new()).unwrap()).await.unwrap().status().as_u16()
    };
    let any = Mindee::builder().build();
    assert_eq!(status(any.clone(), None).await, 401);
    assert_eq!(status(any, Some("md_any")).await, 404);
    let one = Mindee::builder().api_key(Secret::new("md_one")).build();
    assert_eq!(status(one.clone(), Some("md_other")).await, 401);
    assert_eq!(status(one, Some("md_one")).await, 404);
}

#[tokio::test]
async fn unknown_paths_methods_and_ids_are_not_found() {
    let client = Client(Mindee::builder().build());
    let job = client.finished("m1", "").await;
    let (status, problem) = client.get("/v2/jobs/unknown").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("404-001")));
    let other_product = path(&job["result_url"]).replace("extraction", "ocr");
    let legacy = path(&job["result_url"]).replace("products/extraction/results", "inferences");
    for (path, expected) in [
        ("/", 404),
        ("/v2/jobs", 404),
        ("/v2/products/unknown/results/x", 404),
        ("/v2/products/extraction/enqueue", 404),
        (&other_product, 404),
        (&legacy, 200),
    ] {
        assert_eq!(client.get(path).await.0, expected, "{path}");
    }
}
