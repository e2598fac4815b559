//! The numbers of the overview: deliveries of the last hour and day, wait and handling time, schema drift.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_inbox::{
    Archive, Inbox, InboxBuilder, MemoryArchive, Outcome, Workers,
    archive::Query,
    delivery::StateKind,
    layer::{Attempt, Clock, InboxBody},
    page::{Guard, PageService},
    provider::{DriftKind, foxyai},
};

use super::support::*;

const GROUPS: &str = "/hooks/groups";

/// The time of the clock at the start of a test.
const START: Duration = Duration::from_secs(1_800_000_000);

/// How long the handler takes.
const HANDLING: Duration = Duration::from_millis(250);

/// A clock that goes with the paused time of tokio.
fn clock() -> Clock {
    let started = Instant::now();
    Clock::new(move || SystemTime::UNIX_EPOCH + START + started.elapsed())
}

fn builder(archive: &MemoryArchive) -> InboxBuilder {
    let model = foxyai::image_group().detect_schema_drift_every(1).unsigned();
    Inbox::builder(archive.clone()).clock(clock()).model(GROUPS, model)
}

fn page(inbox: &Inbox) -> PageService {
    inbox.page(Guard::open_to_everyone())
}

async fn handler(_: Request<InboxBody<Full<Bytes>>>) -> Result<Response<Full<Bytes>>, Infallible> {
    sleep(HANDLING).await;
    Ok(Response::default())
}

/// Posts a group with this id and these further members.
async fn post(inbox: &Inbox, id: &str, members: &str) -> u16 {
    let body = format!(r#"{{"_id": "{id}", "updatedAt": "t", "images": []{members}}}"#);
    let request = Request::post(GROUPS).body(Full::<Bytes>::from(body)).unwrap();
    let response = inbox.layer().layer(service_fn(handler)).oneshot(request).await.unwrap();
    response.status().as_u16()
}

/// The texts of the cells in the row that begins with `first`, of the table with this label.
fn row(page: &Answer, table: &str, first: &str) -> Option<Vec<String>> {
    let text = page.text();
    let table = text.split_once(&format!("aria-label=\"{table}\""))?.1;
    let table = table.split("</table>").next().unwrap();
    let rows = table.split("<tr>").map(|row| {
        let cells = row.split("<t").skip(1).map(|cell| {
            let tags = cell.split('<').map(|part| part.split_once('>').map_or("", |part| part.1));
            tags.collect::<String>()
        });
        cells.collect::<Vec<_>>()
    });
    rows.into_iter().find(|row| row.first().is_some_and(|cell| cell == first))
}

#[tokio::test(start_paused = true)]
async fn deliveries_of_the_last_hour_and_of_the_last_day_are_counted() {
    let setup = Setup::with_clock(clock());
    let ago = |minutes: u32| START.saturating_sub(Duration::from_secs(60) * minutes);
    for (age, outcome) in [
        (10, Outcome::processed(204)),
        (59, Outcome::dead("404")),
        (20 * 60, Outcome::undecodable("no JSON")),
        (20 * 60 + 14, Outcome::processed(204)),
        (24 * 60 + 1, Outcome::processed(204)),
    ] {
        setup.settled(caption(&age.to_string()).received_at(ago(age)), outcome).await;
    }
    let hour = setup.get("").await;
    assert!(hour.text().contains("2 deliveries in the last hour, at most 1 in a minute"));
    assert!(hour.text().contains("1 h ago: 1, 1 failed, dead or undecodable"));
    let link = hour.attributes("href").into_iter().find(|link| link.contains("view=day")).unwrap();
    let day = setup.get(&link).await;
    assert!(
        day.text().contains("4 deliveries in the last 24 hours, at most 2 in 15 minutes"),
        "{}",
        day.text()
    );
    assert!(day.text().contains("20 h 15 min ago: 2, 1 failed, dead or undecodable"));
    assert!(day.text().contains("1 h ago: 1, 1 failed, dead or undecodable"));
    assert!(day.text().contains("Models"), "it is the overview with another chart");
}

#[tokio::test(start_paused = true)]
async fn last_day_is_counted_again_only_after_a_minute() {
    let setup = Setup::with_clock(clock());
    let page = setup.page();
    let total = async |query: &str, number: u32, span: &str| {
        let text = get(page.clone(), query).await.text();
        text.contains(&format!("{number} deliveries in the last {span}"))
    };
    assert!(total("?view=day", 0, "24 hours").await);
    setup.pending(caption("1").received_at(START)).await;
    assert!(total("?view=day", 0, "24 hours").await, "the page asks for it with each change");
    assert!(total("", 1, "hour").await, "the hour is counted separately");
    advance(Duration::from_secs(59)).await;
    assert!(total("?view=day", 0, "24 hours").await);
    advance(Duration::from_secs(1)).await;
    assert!(total("?view=day", 1, "24 hours").await);
}

#[tokio::test(start_paused = true)]
async fn wait_and_handling_time_are_shown_as_quantiles_by_model() {
    let archive = MemoryArchive::new();
    let inbox = builder(&archive).background(Workers::new(1)).build().unwrap();
    let before = get(page(&inbox), "").await.text();
    assert!(!before.contains("Wait and handling time"), "nothing was processed");
    for id in ["g1", "g2", "g3"] {
        assert_eq!(post(&inbox, id, "").await, 202);
    }
    advance(Duration::from_secs(3)).await;
    inbox.start_workers::<Full<Bytes>>(service_fn(handler)).unwrap();
    wait_for_processed(&archive, 3).await;
    // The only worker handles them one after the other, so they wait 3, 3.25 and 3.5 s.
    let numbers = |page: &Answer| row(page, "Wait and handling time", GROUPS);
    let wanted = [GROUPS, "3", "3.3 s", "3.5 s", "250 ms", "250 ms"].map(str::to_owned);
    let after = get(page(&inbox), "").await;
    assert_eq!(numbers(&after), Some(wanted.to_vec()), "{}", after.text());

    let mut replaying = inbox.replay(Query::all()).start().await.unwrap();
    while replaying.next().await.is_some() {}
    let replayed = numbers(&get(page(&inbox), "").await);
    assert_eq!(replayed, Some(wanted.to_vec()), "replays of old deliveries do not count");

    advance(Duration::from_secs(3600)).await;
    assert_eq!(numbers(&get(page(&inbox), "").await), None, "only the last hour counts");
}

#[tokio::test(start_paused = true)]
async fn retries_are_attempts_but_no_waits() {
    let archive = MemoryArchive::new();
    let inbox = builder(&archive).background(Workers::new(1)).build().unwrap();
    let failing = service_fn(async |request: Request<InboxBody<Full<Bytes>>>| {
        let attempt = *request.extensions().get::<Attempt>().unwrap();
        let mut response = handler(request).await?;
        if attempt.number() == 1 {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok::<_, Infallible>(response)
    });
    post(&inbox, "g1", "").await;
    inbox.start_workers::<Full<Bytes>>(failing).unwrap();
    wait_for_processed(&archive, 1).await;
    let cells = row(&get(page(&inbox), "").await, "Wait and handling time", GROUPS).unwrap();
    assert_eq!((&*cells[1], &*cells[4]), ("2", "250 ms"));
    assert_eq!(cells[2], cells[3], "the retry has no wait: {cells:?}");
}

async fn wait_for_processed(archive: &MemoryArchive, wanted: u64) {
    for _ in 0..1000 {
        if archive.counts().await.unwrap().of_all(StateKind::Processed) == wanted {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
    panic!("not processed: {:?}", archive.counts().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn schema_drift_is_listed_with_its_count_and_last_delivery() {
    let archive = MemoryArchive::new();
    let inbox = builder(&archive).build().unwrap();
    post(&inbox, "g0", "").await;
    assert!(!get(page(&inbox), "").await.text().contains("Schema drift"));
    post(&inbox, "g1", r#", "added_today": 1, "name": ["secret"]"#).await;
    advance(Duration::from_secs(120)).await;
    post(&inbox, "g2", r#", "added_today": 2"#).await;
    advance(Duration::from_secs(60)).await;
    let last = archive.latest(Query::all(), 1).await.unwrap().remove(0).id.to_string();

    let shown = get(page(&inbox), "").await;
    assert!(!shown.text().contains("secret"), "values are not shown");
    let of_path = |path: &str| {
        let text = shown.text();
        let (_, table) = text.split_once("aria-label=\"Schema drift\"").unwrap();
        table.split("<tr>").find(|row| row.contains(path)).map(str::to_owned)
    };
    let added = of_path("$.added_today").unwrap();
    assert!(added.contains("unknown member or enum value"), "{added}");
    assert!(added.contains(">2</td>") && added.contains(&last), "{added}");
    assert!(added.contains("3 min ago<") && added.contains("1 min ago, in"), "{added}");
    let name = of_path("$.name").unwrap();
    assert!(name.contains("expected a string, found an array"), "{name}");
    assert!(name.contains(">1</td>") && !name.contains(&last), "{name}");
    let places = shown.text().matches("<bdi>$.name</bdi>").count();
    assert_eq!(places, 1, "a tolerated member is not also unknown");
    let link = format!("?view=delivery&id={last}");
    assert!(shown.attributes("href").contains(&link));
    assert_eq!(get(page(&inbox), &link).await.status, 200);

    let drift = inbox.models().drift();
    let added = drift.iter().find(|(_, drift)| drift.path == "$.added_today").unwrap();
    assert_eq!((added.0.as_str(), &added.1.kind, added.1.count), (GROUPS, &DriftKind::Unknown, 2));
}

#[tokio::test(start_paused = true)]
async fn schema_drift_of_a_hostile_sender_is_bounded_and_escaped() {
    let inbox = builder(&MemoryArchive::new()).build().unwrap();
    let long = "é".repeat(100_000);
    post(&inbox, "g1", &format!(r#", "<script>alert(1)</script>\u202e{long}": 1"#)).await;
    let one = get(page(&inbox), "").await.text();
    assert!(one.contains("&lt;script&gt;alert(1)") && one.contains("Schema drift"), "{one}");
    assert!(!one.contains("<script>") && one.len() < 20_000, "{}", one.len());
    let many: Vec<_> = (0..500).map(|number| format!(r#", "a{number}": 1"#)).collect();
    post(&inbox, "g2", &many.concat()).await;
    let all = get(page(&inbox), "").await.text();
    assert!(all.contains("and 50 more"), "100 places are remembered, and 50 shown");
    assert_eq!(all.matches("class=\"path\"").count(), 50);
}
