//! `inbox show`.

use tower_inbox::{
    Archive, DeliveryId, Outcome, archive::Query, delivery::InferenceKey, testing::Sample,
};

use super::{
    append, as_inference, builder, errors, fill, ids, inbox, inferences, objects, settle, settled,
    written,
};

#[tokio::test]
async fn show_writes_the_exact_body() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let id = all[3].id().to_string();
    assert_eq!(inbox(dir.path(), &["show", &id, "--body"]).stdout, all[3].body().as_ref());
    let page = written(dir.path(), &["show", &id]);
    assert!(page.contains("state      pending") && page.contains(&id), "{page}");
    let nobody = DeliveryId::new().to_string();
    assert_eq!(inbox(dir.path(), &["show", &nobody]).status.code(), Some(1));
}

#[tokio::test]
async fn show_writes_a_json_object() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let shown = objects(&written(dir.path(), &["show", &all[4].id().to_string(), "--json"]));
    let [object] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!(object["id"], all[4].id().to_string());
    assert_eq!((&object["model"], &object["state"]), (&"/m".into(), &"processed".into()));
    assert_eq!(object["bytes"], all[4].body().len());
    assert_eq!(object["sha256"], all[4].digest().to_string());
}

#[tokio::test]
async fn show_history_has_each_attempt_with_its_time_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let delivery = Sample::of("/m").body("{}").delivery();
    append(&archive, &delivery).await;
    for outcome in [Outcome::failed("503"), Outcome::processed(200)] {
        settle(&archive, delivery.id(), outcome).await;
    }
    let id = delivery.id().to_string();
    assert!(!written(dir.path(), &["show", &id]).contains("history"));
    let page = written(dir.path(), &["show", &id, "--history"]);
    let lines: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("history    ")).collect();
    let states: Vec<_> = lines.iter().filter_map(|line| Some(line.split_once("Z ")?.1)).collect();
    let expected =
        ["leased, attempt 1", "failed, attempt 1: 503", "leased, attempt 2", "processed 200"];
    assert_eq!(states, expected, "{page}");
    let object = &objects(&written(dir.path(), &["show", &id, "--history", "--json"]))[0];
    let changes = object["history"].as_array().unwrap();
    let kinds: Vec<_> = changes.iter().map(|change| change["state"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["leased", "failed", "leased", "processed"]);
    assert_eq!(changes[1]["reason"], "503");
    assert!(lines[1].starts_with(changes[1]["at"].as_str().unwrap()), "{changes:?} {lines:?}");
}

#[tokio::test]
async fn show_finds_deliveries_by_inference_key() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = inferences(&archive).await;
    let id = |at: usize| all[at].id().to_string();
    let show = |arguments: &[&str]| inbox(dir.path(), &[&["show"], arguments].concat());
    let page = written(dir.path(), &["show", "inv_2"]);
    assert!(page.starts_with(&format!("id         {}\n", id(3))), "{page}");
    assert!(page.contains("\ninference  "), "{page}");
    assert_eq!(show(&["inv_1", "--model", "/other", "--body"]).stdout, all[2].body().as_ref());
    let several = written(dir.path(), &["show", "inv_1"]);
    assert_eq!(several.matches("\nstate      ").count(), 3, "{several}");
    assert!((0..3).all(|at| several.contains(&id(at))), "{several}");
    assert_eq!(ids(&written(dir.path(), &["show", "inv_1", "--json"])), [id(0), id(1), id(2)]);
    let body = show(&["inv_1", "--body"]);
    assert!(body.stdout.is_empty() && body.status.code() == Some(1), "{body:?}");
    assert_eq!(show(&["inv_3"]).status.code(), Some(1));
}

#[tokio::test]
async fn inference_key_may_be_a_uuid() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let key = DeliveryId::new().to_string();
    let outcome = as_inference(Outcome::processed(200), "/m", &InferenceKey::new(&*key));
    let one = settled(&archive, "/m", "one", outcome).await;
    assert_eq!(ids(&written(dir.path(), &["show", &key, "--json"])), [one.id().to_string()]);
}

#[tokio::test]
async fn show_of_a_removed_delivery_reports_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let one = settled(&archive, "/m", "one", Outcome::dead("404")).await;
    archive.remove(Query::all().id(one.id())).await.unwrap();
    let output = inbox(dir.path(), &["show", &one.id().to_string()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.ends_with("was removed; its state is dead: 404\n"), "{said}");
}

#[tokio::test]
async fn show_accepts_a_unique_prefix_and_lists_the_candidates_of_an_ambiguous_one() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let id = |digits: &str| -> DeliveryId { digits.parse().unwrap() };
    let one = id("01890a5d-ac96-774b-bcce-b302099a8057");
    let other = id("01890a5d-ac97-774b-bcce-b302099a8057");
    for id in [one, other] {
        let delivery = Sample::of("/m").body(id.to_string()).delivery().with_id(id);
        append(&archive, &delivery).await;
    }
    for prefix in ["01890a5d-ac96", "01890a5dac96", "01890A5D-AC96-774B"] {
        let page = written(dir.path(), &["show", prefix]);
        assert!(page.starts_with(&format!("id         {one}\n")), "{page}");
    }
    let output = inbox(dir.path(), &["show", "01890a5d"]);
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("ambiguous id prefix '01890a5d': 2 deliveries"), "{errors}");
    assert!(errors.contains(&one.to_string()) && errors.contains(&other.to_string()), "{errors}");
    assert_eq!(inbox(dir.path(), &["show", "02890a5d"]).status.code(), Some(1));
    assert_eq!(inbox(dir.path(), &["show", "018"]).status.code(), Some(1), "too short, and no key");
}

#[tokio::test]
async fn show_selects_the_last_and_an_inference() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = inferences(&archive).await;
    let id = |at: usize| all[at].id().to_string();
    let shown =
        |arguments: &[&str]| ids(&written(dir.path(), &[&["show", "--json"], arguments].concat()));
    assert_eq!(shown(&["--last", "2"]), [id(3), id(4)]);
    assert_eq!(shown(&["--inference", "inv_1", "--model", "/m"]), [id(0), id(1)]);
    assert_eq!(shown(&["--inference", "inv_1", "--last", "1"]), [id(2)]);
    assert_eq!(shown(&["--state", "undecodable"]), [id(4)]);
    assert_eq!(shown(&[&id(2), &id(0)]), [id(2), id(0)]);
    assert_eq!(inbox(dir.path(), &["show", "--inference", "inv_9"]).status.code(), Some(1));
}

#[tokio::test]
async fn json_of_show_has_the_head_in_members() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let sample = Sample::of("/m").uri("/m?a=b".parse().unwrap()).body("{}");
    let one = sample.header("x-a", b"b").header("x-raw", b"\xff").delivery();
    append(&archive, &one).await;
    let shown = &objects(&written(dir.path(), &["show", "--last", "1", "--json"]))[0];
    assert_eq!((&shown["method"], &shown["path"]), (&"POST".into(), &"/m".into()));
    assert_eq!((&shown["query"], &shown["version"]), (&"a=b".into(), &"HTTP/1.1".into()));
    assert!(shown["proof"]["scheme"].is_string(), "{shown}");
    let headers = shown["headers"].as_array().unwrap();
    assert!(headers.contains(&serde_json::json!({ "name": "x-a", "value": "b" })), "{shown}");
    assert!(headers.contains(&serde_json::json!({ "name": "x-raw", "value_hex": "ff" })));
}
