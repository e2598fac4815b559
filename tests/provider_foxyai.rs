//! The payloads of FoxyAI: decoding, encoding and rejection.

#![allow(
    clippy::float_cmp,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

#[path = "provider_support/mod.rs"]
mod support;

use bytes::Bytes;
use support::{delivery, members::body, own, round_trip};
use tower_inbox::{
    Inference,
    provider::{
        DecodeError, Payload, Provider,
        foxyai::{Annotation, FoxyAi, Image, ImageGroup, MODELS, Status},
    },
};

fn decode(body: &'static str) -> Result<ImageGroup, DecodeError> {
    ImageGroup::decode(&Bytes::from_static(body.as_bytes()))
}

fn load<T: Payload>(body: &str) -> Result<Inference<T>, DecodeError> {
    Inference::load(delivery(body.to_owned()))
}

/// Loads a group with these members after its id.
fn group(members: &str) -> Inference<ImageGroup> {
    let body = format!(r#"{{"_id": "g", "updatedAt": "2026-03-01T09:00:07Z", {members}}}"#);
    load(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn tolerated<T: Payload>(inference: &Inference<T>) -> Vec<String> {
    inference.tolerated().iter().map(ToString::to_string).collect()
}

#[test]
fn both_states_of_a_group_round_trip_and_have_different_keys() {
    let first = round_trip::<ImageGroup>(&own("foxyai/group_processing.json"));
    let last = round_trip::<ImageGroup>(&own("foxyai/group_completed.json"));
    assert_eq!(first.id, last.id);
    assert_ne!(first.key(), last.key());
    assert_eq!(last.key().version(), Some("2026-03-01T09:00:19.875Z"));
    assert!(first.updated_at < last.updated_at);
}

fn group_at(time: &str) -> ImageGroup {
    let body = format!(r#"{{"_id": "g", "updatedAt": "{time}", "status": "completed"}}"#);
    ImageGroup::decode(&Bytes::from(body)).unwrap()
}

fn image_at(time: &str) -> Image {
    let body = format!(r#"{{"_id": "i", {time} "status": "completed"}}"#);
    Image::decode(&Bytes::from(body)).unwrap()
}

#[test]
fn older_state_that_arrives_late_is_not_newer() {
    let rising = [
        "2026-03-01T10:00:06.999+01:00",
        "2026-03-01T09:00:07Z",
        "2026-03-01T09:00:07.25Z",
        "2026-03-01T09:00:07.251Z",
    ];
    for (number, this) in rising.iter().enumerate() {
        for (other_number, other) in rising.iter().enumerate() {
            let is_newer = group_at(this).is_newer_than(&group_at(other));
            assert_eq!(is_newer, number > other_number, "{this} and {other}");
        }
    }
    assert!(!group_at("2026-03-01T09:00:07.250Z").is_newer_than(&group_at(rising[2])));
    let named = |time: &str| image_at(&format!(r#""updatedAt": "{time}","#));
    assert!(named(rising[2]).is_newer_than(&named(rising[1])));
    assert!(!named(rising[1]).is_newer_than(&named(rising[2])));
}

#[test]
fn state_with_an_invalid_timestamp_is_newer() {
    assert!(group_at("yesterday").is_newer_than(&group_at("2026-03-01T09:00:07Z")));
    assert!(!group_at("yesterday").is_newer_than(&group_at("yesterday")));
    assert!(image_at("").is_newer_than(&image_at(r#""updatedAt": "2026-03-01T09:00:07Z","#)));
    assert!(!image_at("").is_newer_than(&image_at("")));
    let mut another = group_at("2026-03-01T09:00:09Z");
    another.id = "another".into();
    assert!(!another.is_newer_than(&group_at("2026-03-01T09:00:07Z")), "of another group");
}

#[test]
fn every_annotation_type_is_decoded() {
    let group = ImageGroup::decode(&own("foxyai/group_completed.json")).unwrap();
    let results = |model: &str| &group.images[0].model(model).unwrap().results;
    let Annotation::Score(score) = &results("condition_score")[0] else { panic!("no score") };
    assert_eq!(score.score, 3.25);
    let Annotation::Classification(room) = &results("room_classification")[0] else {
        panic!("no class")
    };
    assert_eq!(room.class, "Kitchen");
    assert!(results("scene_classification").is_empty());
    let Annotation::Other(stove) = &results("object_detection")[0] else { panic!("not kept") };
    assert_eq!(stove["box"]["top"], 0.5);
}

#[test]
fn centroid_is_decoded_from_strings_and_numbers() {
    let group = ImageGroup::decode(&own("foxyai/group_completed.json")).unwrap();
    let finishes = &group.images[0].model("finish_detection").unwrap().results;
    let positions: Vec<_> = finishes
        .iter()
        .map(|finish| match finish {
            Annotation::Centroid(found) => (found.centroid.x.value(), found.materials.len()),
            _ => panic!("no centroid"),
        })
        .collect();
    assert_eq!(positions, [(Some(0.064_650_363_366_637_58), 2), (Some(0.25), 0)]);
}

#[test]
fn unknown_statuses_are_kept() {
    let group = ImageGroup::decode(&own("foxyai/group_completed.json")).unwrap();
    assert_eq!(group.status, Some(Status::PartialFailure));
    assert_eq!(group.images[1].status, Some(Status::Other("too_dark".into())));
}

#[test]
fn group_with_few_members_is_decoded() {
    let group = decode(
        r#"{"_id": "g", "updatedAt": "t", "status": "completed", "images": null, "metaData": null, "new": 1,
            "computedMetrics": {"condition": {"Kitchen": null, "Interior": 2}, "quality": null}}"#,
    )
    .unwrap();
    assert!(group.images.is_empty() && group.meta_data.is_none());
    let metrics = group.computed_metrics.unwrap();
    let condition = metrics.condition.unwrap();
    assert_eq!((condition["Kitchen"], condition["Interior"]), (None, Some(2.0)));
    assert_eq!(metrics.quality, None);
}

#[test]
fn a_single_image_does_not_pass_for_a_group() {
    let error = decode(r#"{"_id": "i", "updatedAt": "t", "status": "completed", "models": {}}"#)
        .unwrap_err();
    assert_eq!(error.path(), "$");
}

#[test]
fn error_has_the_path_of_the_invalid_value() {
    let error = decode(
        r#"{"_id": "g", "updatedAt": "t", "status": "completed", "images": [{"_id": "i", "status": "completed",
            "models": {"m": {"status": 7}}}]}"#,
    )
    .unwrap_err();
    assert_eq!(error.path(), "$.images[0].models.m.status");
    assert_eq!((error.expected(), error.found()), (Some("a word"), Some("an integer")));
    assert_eq!(decode(r#"{"_id": "g", "updatedAt": 7}"#).unwrap_err().path(), "$.updatedAt");
}

#[test]
fn single_image_round_trips_and_a_group_is_not_an_image() {
    let body = Bytes::from_static(
        br#"{"_id": "i", "updatedAt": "t", "status": "completed", "new": [1], "models": {"hole": {"status": "completed",
            "results": [{"annotationType": "SCORE", "class": "Hole", "grade": 1, "score": 2, "new": 3}]}}}"#,
    );
    let image = round_trip::<Image>(&body);
    assert_eq!(image.key().to_string(), "i@t");
    assert!(MODELS.iter().any(|name| image.model(name).is_some()));
    assert!(Image::decode(&own("foxyai/group_completed.json")).is_err());
}

#[test]
fn no_input_panics() {
    for body in ["", "{", "[]", "null", "\"\\ud800\"", r#"{"_id": 1e400}"#] {
        assert!(decode(body).is_err(), "{body}");
    }
    let deep = format!(r#"{{"metaData": {}"#, r#"{"a":"#.repeat(10_000));
    assert!(ImageGroup::decode(&Bytes::from(deep)).is_err());
}

#[test]
fn undecodable_delivery_is_answered_202() {
    assert_eq!(FoxyAi::NAME, "foxyai");
    assert_eq!(FoxyAi::PROFILE.undecodable, 202);
}

#[test]
fn models_as_names_or_empty_or_null_are_runs_without_results() {
    for (models, names) in [
        (r#"["condition_score", "hole"]"#, &["condition_score", "hole"][..]),
        ("[]", &[]),
        ("null", &[]),
        (r#"{"hole": null}"#, &["hole"]),
    ] {
        let read = group(&format!(r#""images": [{{"_id": "i", "models": {models}}}]"#));
        let image = &read.images[0];
        assert_eq!(image.models.keys().map(|name| &**name).collect::<Vec<_>>(), names);
        assert!(image.annotations().next().is_none() && read.tolerated().is_empty());
    }
    let alone = r#"{"_id": "i", "models": ["condition_score"], "status": "processing"}"#;
    assert!(load::<Image>(alone).unwrap().model("condition_score").is_some());
}

#[test]
fn results_as_an_object_and_elements_of_other_types_are_kept_as_json() {
    for (results, kept) in [
        (r#"{"boxes": [[0, 1]]}"#, r#"[{"boxes":[[0,1]]}]"#),
        (r#"["Kitchen", 7, null, [1]]"#, r#"["Kitchen",7,null,[1]]"#),
    ] {
        let read = group(&format!(
            r#""images": [{{"_id": "i", "models": {{"m": {{"results": {results}}}}}}}]"#
        ));
        let results = &read.images[0].model("m").unwrap().results;
        assert!(results.iter().all(|one| matches!(one, Annotation::Other(_))));
        assert_eq!(serde_json::to_string(results).unwrap(), kept);
    }
}

#[test]
fn version_as_a_number_and_metrics_as_strings_or_nan_are_decoded() {
    let read = group(
        r#""images": [{"_id": "i", "models": {"m": {"version": 1.5, "status": "completed"}}}],
            "computedMetrics": {"condition": {"Kitchen": "2.9", "Hall": NaN, "Attic": "none", "Bath": 2}}"#,
    );
    assert_eq!(read.images[0].model("m").unwrap().version.as_deref(), Some("1.5"));
    let condition = read.computed_metrics.as_ref().unwrap().condition.as_ref().unwrap();
    assert_eq!(
        (condition["Kitchen"], condition["Hall"], condition["Bath"]),
        (Some(2.9), None, Some(2.0))
    );
    assert_eq!(
        tolerated(&read),
        [
            "$.computedMetrics.condition.Hall: expected a number, found NaN",
            "$.images[0].models.m.version: expected a string, found a number with a decimal point",
            "$.computedMetrics.condition.Kitchen: expected a number, found a string",
            "$.computedMetrics.condition.Attic: expected f64, found a string",
        ]
    );
}

#[test]
fn images_as_ids_groups_as_objects_and_missing_status_are_decoded() {
    let read = group(
        r#""images": ["i1", {"_id": "i2", "imageGroups": [{"_id": "g"}, "g2"], "tags": null}]"#,
    );
    let ids: Vec<_> = read.images.iter().map(|image| &*image.id).collect();
    assert_eq!((ids, &read.images[1].status), (vec!["i1", "i2"], &None));
    assert_eq!(&*read.images[1].image_groups[0], "g2");
    assert_eq!(
        tolerated(&read),
        ["$.images[1].imageGroups[0]: expected a string, found an object"]
    );
    assert_eq!(load::<Image>("\"i1\"").unwrap_err().path(), "$", "a body is no id");
}

#[test]
fn id_without_underscore_and_meta_data_of_any_type_are_decoded() {
    for meta_data in ["[1]", "\"order 7\"", "7", "{}"] {
        let body = format!(r#"{{"id": "g", "updatedAt": "t", "metaData": {meta_data}}}"#);
        let read = load::<ImageGroup>(&body).unwrap();
        assert_eq!((read.key().to_string(), read.tolerated().len()), ("g@t".to_owned(), 0));
        assert_eq!(read.meta_data.as_ref().unwrap().to_string(), meta_data);
    }
}

#[test]
fn key_of_a_group_without_updated_at_contains_the_digest() {
    let key = |body: &str| load::<ImageGroup>(body).unwrap().key().clone();
    let (first, second) =
        (r#"{"_id": "g", "updatedAt": null}"#, r#"{"_id": "g", "status": "completed"}"#);
    assert_ne!(key(first), key(second));
    assert_eq!(key(first), key(first));
}

#[test]
fn every_member_but_the_id_can_be_null_missing_or_of_any_type() {
    let image = r#"{"_id": "i", "url": "u", "name": "n", "createdAt": "t", "updatedAt": "t", "tags": ["a"], "imageGroups": ["g"],
        "status": "completed", "models": {"m": {"name": "m", "version": "1", "status": "completed", "results": [
        {"annotationType": "SCORE", "class": "a", "score": 1}, {"annotationType": "CLASSIFICATION", "class": "a", "confidence": 1},
        {"annotationType": "CENTROID", "class": "a", "confidence": 1, "centroid": {"x": "0", "y": 0}, "materials": [{"type": "a", "confidence": 1}]}]}}}"#;
    let group = format!(
        r#"{{"_id": "g", "name": "n", "createdAt": "t", "updatedAt": "t", "status": "completed", "images": [{image}], "metaData": {{"a": 1}},
            "computedMetrics": {{"condition": {{"a": 1}}, "quality": {{"a": 1}}}}, "url": "u", "propertyId": "p", "avv_status": "a"}}"#
    );
    body(serde_json::from_str(&group).unwrap(), &["/_id"]).is_lenient_as::<ImageGroup>();
    body(serde_json::from_str(image).unwrap(), &["/_id"]).is_lenient_as::<Image>();
}
