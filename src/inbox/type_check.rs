use std::{collections::BTreeMap, fmt};

use http::Extensions;

use super::Inbox;
use crate::{
    archive::{ArchiveError, Query},
    delivery::{Delivery, DeliveryId, ModelName},
    process::{Undecodable, load},
    provider::json_path,
};

/// Whether archived deliveries decode to the types of an inbox. Returned by [`Inbox::check_types`].
#[derive(Debug, Default)]
pub struct TypeReport {
    checked: u64,
    decoded: u64,
    mistakes: BTreeMap<(ModelName, String), Mistake>,
    unknown: BTreeMap<(ModelName, String), u64>,
    without_model: BTreeMap<ModelName, u64>,
    unreadable: Vec<ArchiveError>,
}

#[derive(Debug)]
struct Mistake {
    reason: String,
    times: u64,
    example: DeliveryId,
}

impl Inbox {
    /// Decodes each archived delivery that `query` selects to the current type of its model, without running a handler.
    /// Use it as a gate before a deploy, with a copy of the production archive. Deliveries of unknown models and
    /// unreadable deliveries are counted separately. Nothing is changed. For a sample of a large archive, see
    /// [`Query::one_in`].
    ///
    /// ```
    /// # async fn of(inbox: &tower_inbox::Inbox) {
    /// use tower_inbox::archive::Query;
    ///
    /// inbox.check_types(Query::all()).await.assert_all_load();
    /// # }
    /// ```
    pub async fn check_types(&self, query: Query) -> TypeReport {
        let mut report = TypeReport::default();
        let mut entries = self.archive().scan(query);
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(entry) => self.check_one(&entry.delivery, &mut report),
                Err(error) => report.unreadable.push(error),
            }
        }
        report
    }

    fn check_one(&self, delivery: &Delivery, report: &mut TypeReport) {
        let Some((model, _)) = self.models.of_delivery(delivery) else {
            *report.without_model.entry(delivery.model().clone()).or_default() += 1;
            return;
        };
        report.checked += 1;
        match load(&model, delivery, &[], &mut Extensions::new()) {
            Ok(_) => {
                report.decoded += 1;
                for path in model.unknown_in(delivery) {
                    *report.unknown.entry((delivery.model().clone(), path)).or_default() += 1;
                }
            }
            Err(Undecodable { path, reason }) => report.add(delivery, &path, reason),
        }
    }
}

impl TypeReport {
    fn add(&mut self, delivery: &Delivery, path: &str, reason: String) {
        let place = (delivery.model().clone(), json_path::of_every_item(path));
        let new = || Mistake { reason, times: 0, example: delivery.id() };
        self.mistakes.entry(place).or_insert_with(new).times += 1;
    }

    /// The number of deliveries that were checked.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// The fraction of checked deliveries that decode, from 0 to 1. 1 if none was checked.
    pub fn pass_rate(&self) -> f64 {
        if self.checked == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a fraction does not need all digits")]
        let rate = self.decoded as f64 / self.checked as f64;
        rate
    }

    /// The decode errors: the model, the JSON path with `[*]` for list items, and the number of deliveries.
    pub fn mistakes(&self) -> impl Iterator<Item = (&ModelName, &str, u64)> {
        self.mistakes.iter().map(|((model, path), mistake)| (model, path.as_str(), mistake.times))
    }

    /// The schema drift: places that decode but are unknown to the type, as the model, the JSON path, and the number
    /// of deliveries. Only of models that [detect drift](crate::provider::ModelBuilder::detect_schema_drift).
    pub fn unknown(&self) -> impl Iterator<Item = (&ModelName, &str, u64)> {
        self.unknown.iter().map(|((model, path), times)| (model, path.as_str(), *times))
    }

    /// The deliveries of models that the inbox does not have, for example after a rename: the model, and their number.
    pub fn without_model(&self) -> impl Iterator<Item = (&ModelName, u64)> {
        self.without_model.iter().map(|(model, times)| (model, *times))
    }

    /// The errors of deliveries that could not be read from the archive.
    pub fn unreadable(&self) -> &[ArchiveError] {
        &self.unreadable
    }

    /// Asserts that all deliveries decode, for tests.
    ///
    /// # Panics
    ///
    /// If a delivery could not be decoded or read. Also if none was checked, because a gate for the wrong directory
    /// must not pass.
    #[track_caller]
    pub fn assert_all_load(&self) {
        assert!(self.checked > 0, "no delivery was checked; is this the right archive?\n{self}");
        assert!(self.mistakes.is_empty() && self.unreadable.is_empty(), "{self}");
    }
}

impl fmt::Display for TypeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} archived deliveries can be decoded", self.decoded, self.checked)?;
        for ((model, _), Mistake { reason, times, example }) in &self.mistakes {
            writeln!(f, "  {times} of {model}, such as {example}: {reason}")?;
        }
        for ((model, path), times) in &self.unknown {
            writeln!(f, "  {times} of {model} have {path}, which the type does not know")?;
        }
        for (model, times) in &self.without_model {
            writeln!(f, "  {times} of {model} were skipped: the inbox has no such model")?;
        }
        for error in &self.unreadable {
            writeln!(f, "  a delivery could not be read: {error}")?;
        }
        Ok(())
    }
}
