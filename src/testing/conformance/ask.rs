//! What every check asks of an archive.
#![expect(clippy::panic, reason = "the suite says by panicking what does not hold")]

use std::fmt::Debug;

use crate::{
    archive::{Archive, Line, Query, Work},
    delivery::{Delivery, DeliveryId, ModelName, Outcome},
};

pub(super) async fn assert_kept(
    archive: &dyn Archive,
    delivery: &Delivery,
    outcome: Option<Outcome>,
) {
    let Some(kept) = done("get", archive.get(delivery.id())).await else {
        panic!("the delivery {} was appended and is not there", delivery.id());
    };
    assert_eq!(kept.delivery.body(), delivery.body(), "the body is not what was appended");
    assert_eq!(kept.delivery, *delivery, "the delivery is not what was appended");
    assert_eq!(kept.outcome, outcome, "the outcome is not what was settled");
}

pub(super) async fn found(archive: &dyn Archive, query: Query) -> Vec<Delivery> {
    let mut entries = archive.scan(query);
    let mut found = Vec::new();
    while let Some(entry) = entries.next().await {
        match entry {
            Ok(archived) => found.push(archived.delivery),
            Err(error) => panic!("a scan of a sound archive gave an error: {error:?}"),
        }
    }
    found
}

pub(super) async fn lines(archive: &dyn Archive, query: Query) -> Vec<Line> {
    let mut entries = archive.ledger(query);
    let mut lines = Vec::new();
    while let Some(line) = entries.next().await {
        match line {
            Ok(line) => lines.push(line),
            Err(error) => panic!("the ledger of a sound archive gave an error: {error:?}"),
        }
    }
    lines
}

pub(super) async fn done<T: Debug>(what: &str, work: Work<T>) -> T {
    match work.await {
        Ok(result) => result,
        Err(error) => panic!("cannot {what}: {error:?}"),
    }
}

/// The suite may run more than once on the same archive.
pub(super) fn fresh_model() -> String {
    format!("/conformance/{}", DeliveryId::new())
}

pub(super) fn name(model: &str) -> ModelName {
    match model.parse() {
        Ok(name) => name,
        Err(error) => panic!("{model}: {error}"),
    }
}
