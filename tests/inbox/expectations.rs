//! Results that are due: they arrive, are overdue, or are fetched. Time is paused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tower::Layer;
use tower_inbox::{
    Archive, Expectations, Expected, Inbox, MemoryArchive, OverdueResult, Workers,
    archive::Query,
    delivery::{Provenance, StateKind},
    layer::Clock,
    provider::{Recover, RecoverError, Recovered, Recovering},
};

use crate::support::{
    script::{Reply, Script, post},
    *,
};

const WITHIN: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// An API whose results a test adds.
#[derive(Clone, Default)]
struct Api {
    results: Arc<Mutex<HashMap<String, Recovered>>>,
    calls: Arc<Mutex<Vec<String>>>,
    is_down: Arc<Mutex<bool>>,
    takes: Arc<Mutex<Duration>>,
}

impl Api {
    fn add(&self, job: &str, result: Recovered) {
        self.results.lock().unwrap().insert(job.to_owned(), result);
    }

    fn add_caption(&self, job: &str) {
        self.add(job, Recovered::Result(Bytes::from(caption(job))));
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

impl Recover for Api {
    fn recover<'r>(&'r self, id: &'r str) -> Recovering<'r> {
        Box::pin(async move {
            self.calls.lock().unwrap().push(id.to_owned());
            let takes = *self.takes.lock().unwrap();
            sleep(takes).await;
            if *self.is_down.lock().unwrap() {
                return Err(RecoverError::new("the API is down").because("connection refused"));
            }
            let result = self.results.lock().unwrap().get(id).cloned();
            Ok(result.unwrap_or(Recovered::NotReady))
        })
    }
}

/// An inbox with expectations in an archive of their own.
struct Test<A = MemoryArchive> {
    inbox: Inbox,
    expected: A,
    script: Script,
    api: Api,
    overdue: Arc<Mutex<Vec<OverdueResult>>>,
}

/// A clock that follows tokio's time.
fn clock() -> Clock {
    let (start, began) = (SystemTime::now(), Instant::now());
    Clock::new(move || start + began.elapsed())
}

fn test_with(configure: impl FnOnce(Expectations, Api) -> Expectations) -> Test {
    test_on(MemoryArchive::new(), configure)
}

fn test_on<A: Archive + Clone>(
    expected: A,
    configure: impl FnOnce(Expectations, Api) -> Expectations,
) -> Test<A> {
    let api = Api::default();
    let overdue = Arc::new(Mutex::new(Vec::new()));
    let reported = Arc::clone(&overdue);
    let expectations = Expectations::new(expected.clone())
        .on_overdue(move |result| reported.lock().unwrap().push(result.clone()));
    let inbox = Inbox::builder(MemoryArchive::new())
        .model(CAPTIONS, captions())
        .background(Workers::new(2))
        .expectations(configure(expectations, api.clone()))
        .clock(clock())
        .build()
        .unwrap();
    let script = Script::new(|_| Reply::Status(200));
    inbox.start_workers(script.service()).unwrap();
    Test { inbox, expected, script, api, overdue }
}

fn test() -> Test {
    test_with(|expectations, api| expectations.recover(CAPTIONS.parse().unwrap(), api))
}

impl<A: Archive> Test<A> {
    async fn expect(&self, job: &str) -> Expected {
        self.inbox.expect(CAPTIONS, job, WITHIN).await.unwrap()
    }

    /// Asserts how the only expectation's state begins.
    async fn assert_state(&self, start: &str) {
        let states = self.states().await;
        assert!(states.len() == 1 && states[0].starts_with(start), "{states:?}");
    }

    /// The states of the expectations.
    async fn states(&self) -> Vec<String> {
        let mut entries = self.expected.ledger(Query::all());
        let mut states = Vec::new();
        while let Some(entry) = entries.next().await {
            states.push(entry.unwrap().state.to_string());
        }
        states
    }
}

#[tokio::test(start_paused = true)]
async fn result_that_arrives_in_time_settles_its_expectation_and_is_not_fetched() {
    let test = test();
    assert_eq!(test.expect("1").await, Expected::Waiting);
    test.assert_state("pending").await;
    sleep(WITHIN / 2).await;
    post(&test.inbox, &test.script, "1").await;
    test.inbox.wait_idle().await;
    sleep(HOUR).await;
    test.assert_state("processed 200").await;
    assert!(test.api.calls().is_empty());
    assert!(test.overdue.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn result_that_arrives_before_it_is_expected_settles_it() {
    let test = test();
    post(&test.inbox, &test.script, "1").await;
    test.inbox.wait_idle().await;
    test.inbox.settled().await;
    assert_eq!(test.expect("1").await, Expected::Arrived);
    sleep(HOUR).await;
    assert!(test.api.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn overdue_result_is_fetched_archived_and_handled_and_its_webhook_is_a_repeat() {
    let test = test();
    test.api.add_caption("1");
    test.expect("1").await;
    sleep(WITHIN * 9 / 10).await;
    assert!(test.api.calls().is_empty(), "not before it is due");
    sleep(WITHIN / 5).await;
    test.inbox.wait_idle().await;
    assert_eq!(test.script.jobs(), ["1"]);
    test.assert_state("processed 201").await;
    let mut all = test.inbox.archive().scan(Query::all());
    let fetched = all.next().await.unwrap().unwrap();
    assert_eq!(fetched.delivery.provenance(), Provenance::Poll);
    assert_eq!(fetched.delivery.body(), caption("1").as_bytes());

    // The webhook, with other bytes.
    let late = format!(" {}", caption("1"));
    send(test.inbox.layer().layer(test.script.service()), signed(late)).await;
    test.inbox.wait_idle().await;
    assert_eq!(test.script.jobs(), ["1"], "it is not handled again");
    assert_eq!(test.inbox.counts().await.unwrap().of_all(StateKind::Repeat), 1);
    assert_eq!(test.api.calls(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn result_that_is_not_ready_is_reported_as_overdue_and_fetched_later() {
    let test = test();
    test.expect("1").await;
    *test.api.is_down.lock().unwrap() = true;
    sleep(WITHIN + Duration::from_secs(1)).await;
    let overdue = test.inbox.overdue().await.unwrap();
    assert_eq!(overdue.len(), 1);
    assert_eq!((overdue[0].model.as_str(), &*overdue[0].id), (CAPTIONS, "1"));
    assert!(overdue[0].reason.contains("the API is down: connection refused"), "{overdue:?}");
    *test.api.is_down.lock().unwrap() = false;
    sleep(HOUR / 2).await;
    let reasons: Vec<_> =
        test.overdue.lock().unwrap().iter().map(|overdue| overdue.reason.clone()).collect();
    assert!(reasons.len() >= 2, "{reasons:?}");
    assert_eq!(reasons.last().unwrap(), "the provider has no result yet");
    test.api.add_caption("1");
    sleep(HOUR / 2).await;
    assert_eq!(test.script.jobs(), ["1"]);
    assert!(test.inbox.overdue().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn arrival_of_an_overdue_result_ends_its_polling() {
    let test = test();
    test.expect("1").await;
    sleep(WITHIN + Duration::from_secs(1)).await;
    assert_eq!(test.inbox.overdue().await.unwrap().len(), 1);
    post(&test.inbox, &test.script, "1").await;
    test.inbox.wait_idle().await;
    test.inbox.settled().await;
    test.assert_state("processed 200").await;
    let calls = test.api.calls().len();
    sleep(HOUR).await;
    assert_eq!(test.api.calls().len(), calls);
}

#[tokio::test(start_paused = true)]
async fn arrival_during_a_fetch_settles_the_expectation_after_it() {
    let test = test();
    *test.api.takes.lock().unwrap() = Duration::from_millis(500);
    test.expect("1").await;
    while test.api.calls().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    post(&test.inbox, &test.script, "1").await;
    test.inbox.wait_idle().await;
    test.inbox.settled().await;
    test.assert_state("processed 200").await;
    assert_eq!(test.api.calls(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn result_that_the_provider_does_not_have_is_given_up_at_once() {
    let test = test();
    test.api.add("1", Recovered::Gone("the job failed: unreadable file".into()));
    test.expect("1").await;
    sleep(HOUR).await;
    let states = test.states().await;
    assert!(states[0].starts_with("dead"), "{states:?}");
    assert!(states[0].contains("the job failed: unreadable file"), "{states:?}");
    assert_eq!(test.api.calls(), ["1"]);
    assert_eq!(test.overdue.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn result_is_given_up_after_the_configured_time() {
    let test = test_with(|expectations, api| {
        expectations.recover(CAPTIONS.parse().unwrap(), api).give_up_after(HOUR)
    });
    test.expect("1").await;
    sleep(2 * HOUR).await;
    test.assert_state("dead").await;
    let calls = test.api.calls().len();
    assert!((4..100).contains(&calls), "{calls}");
    sleep(HOUR).await;
    assert_eq!(test.api.calls().len(), calls);
}

#[tokio::test(start_paused = true)]
async fn model_without_recovery_reports_overdue_results() {
    let test = test_with(|expectations, _| expectations);
    test.expect("1").await;
    sleep(WITHIN + Duration::from_secs(1)).await;
    assert_eq!(test.overdue.lock().unwrap()[0].id, "1");
    let overdue = test.inbox.overdue().await.unwrap();
    assert!(overdue[0].reason.contains("no recovery"), "{overdue:?}");
}

#[tokio::test(start_paused = true)]
async fn check_expected_fetches_what_is_not_due_yet_without_reporting_it() {
    let test = test();
    test.api.add_caption("1");
    test.expect("1").await;
    test.expect("2").await;
    assert_eq!(test.inbox.check_expected(Query::all()).await.unwrap(), 2);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(test.script.jobs(), ["1"]);
    assert!(test.overdue.lock().unwrap().is_empty());
    assert!(test.inbox.overdue().await.unwrap().is_empty());
    let mut calls = test.api.calls();
    calls.sort();
    assert_eq!(calls, ["1", "2"], "the second one is checked again when it is due");
    test.api.add_caption("2");
    sleep(2 * WITHIN).await;
    assert_eq!(test.script.jobs(), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn another_process_with_the_archive_can_record_what_is_due() {
    let test = test();
    test.api.add_caption("1");
    let elsewhere = Expectations::new(test.expected.clone());
    elsewhere.expect(&CAPTIONS.parse().unwrap(), CAPTIONS, "1", Duration::ZERO).await.unwrap();
    sleep(HOUR).await;
    assert_eq!(test.script.jobs(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn expectation_is_waiting_until_all_racing_arrivals_have_settled_it() {
    for round in 0..50 {
        let test = test();
        let job = round.to_string();
        tokio::join!(test.expect(&job), post(&test.inbox, &test.script, &job));
        test.inbox.wait_idle().await;
        test.inbox.settled().await;
        test.assert_state("processed 200").await;
    }
}

#[tokio::test(start_paused = true)]
async fn results_of_models_that_are_not_included_are_neither_recorded_nor_expected() {
    let test = test_with(|expectations, _| expectations.only(["/hooks/other".parse().unwrap()]));
    post(&test.inbox, &test.script, "1").await;
    test.inbox.wait_idle().await;
    test.inbox.settled().await;
    assert!(test.states().await.is_empty());
    let error = test.inbox.expect(CAPTIONS, "1", WITHIN).await.unwrap_err();
    assert!(error.to_string().contains("do not include the model /hooks/captions"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn result_that_is_due_at_the_end_of_time_is_not_fetched() {
    let test = test();
    let expected = test.inbox.expect(CAPTIONS, "1", Duration::MAX).await.unwrap();
    assert_eq!(expected, Expected::Waiting);
    sleep(HOUR).await;
    test.assert_state("pending").await;
}

#[tokio::test(start_paused = true)]
async fn arrival_is_recorded_with_the_path_for_which_it_would_be_fetched() {
    let test = test();
    post(&test.inbox, &test.script, "1").await;
    test.inbox.wait_idle().await;
    test.inbox.settled().await;
    let arrival = test.expected.scan(Query::all()).next().await.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_slice(arrival.delivery.body()).unwrap();
    assert_eq!(body["path"], CAPTIONS);
}

#[tokio::test]
async fn expect_fails_without_expectations_or_for_an_unknown_path() {
    let without = inbox(memory());
    let error = without.expect(CAPTIONS, "1", WITHIN).await.unwrap_err();
    assert!(error.to_string().contains("no expectations"), "{error}");
    let error = test().inbox.expect("/hooks/unknown", "1", WITHIN).await.unwrap_err();
    assert!(error.to_string().contains("/hooks/unknown"), "{error}");
}

#[tokio::test]
async fn process_that_starts_checks_results_that_were_due_later() {
    let directory = tempfile::tempdir().unwrap();
    let open = async || tower_inbox::DiskArchive::open(directory.path()).await.unwrap();
    let expected = open().await;
    let elsewhere = Expectations::new(expected.clone());
    elsewhere.expect(&CAPTIONS.parse().unwrap(), CAPTIONS, "1", HOUR).await.unwrap();
    expected.close().await;
    drop((elsewhere, expected));

    let test = test_on(open().await, |expectations, api| {
        api.add_caption("1");
        expectations.recover(CAPTIONS.parse().unwrap(), api)
    });
    while test.script.jobs().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(test.script.jobs(), ["1"]);
    assert!(test.overdue.lock().unwrap().is_empty());
}
