use std::{collections::BTreeMap, fmt};

use http::Extensions;

use super::Inbox;
use crate::{
    archive::{ArchiveError, Query},
    delivery::{Delivery, DeliveryId, ModelName},
    process::{Undecodable, load},
    provider::json_path,
};

/// Whether the types of an inbox can load what is archived: the answer of [`Inbox::check_types`].
#[derive(Debug, Default)]
pub struct TypeReport {
    checked: u64,
    loaded: u64,
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
    /// Loads every archived delivery that `query` selects into the type that its model has now, without a handler: a
    /// gate before a deploy, with a copy of the archive of production. Deliveries of models that the inbox does not have
    /// are counted apart, and so is what cannot be read. Changes nothing. Of a large archive a sample may do:
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
        let Some((model, _)) = self.models.of(delivery) else {
            *report.without_model.entry(delivery.model().clone()).or_default() += 1;
            return;
        };
        report.checked += 1;
        match load(&model, delivery, &[], &mut Extensions::new()) {
            Ok(_) => {
                report.loaded += 1;
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

    /// How many deliveries were looked at.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// The part of them that could be loaded, from 0 to 1; 1 of none.
    pub fn pass_rate(&self) -> f64 {
        if self.checked == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a part of one does not need all digits")]
        let rate = self.loaded as f64 / self.checked as f64;
        rate
    }

    /// What could not be loaded: the model, the JSON path with `[*]` for the items of lists, and how often.
    pub fn mistakes(&self) -> impl Iterator<Item = (&ModelName, &str, u64)> {
        self.mistakes.iter().map(|((model, path), mistake)| (model, path.as_str(), mistake.times))
    }

    /// What could be loaded and is not known to its type: the model, the JSON path, and in how many deliveries. Of
    /// [watched](crate::provider::ModelBuilder::detect_schema_drift) models only.
    pub fn unknown(&self) -> impl Iterator<Item = (&ModelName, &str, u64)> {
        self.unknown.iter().map(|((model, path), times)| (model, path.as_str(), *times))
    }

    /// The deliveries of models that the inbox does not have, such as one that was renamed: the model, and how many.
    pub fn without_model(&self) -> impl Iterator<Item = (&ModelName, u64)> {
        self.without_model.iter().map(|(model, times)| (model, *times))
    }

    /// What could not be read from the archive.
    pub fn unreadable(&self) -> &[ArchiveError] {
        &self.unreadable
    }

    /// For tests: says what could not be loaded.
    ///
    /// # Panics
    ///
    /// If there is something that could not be loaded or read. Also if nothing was looked at: a gate at the wrong
    /// directory would let everything through.
    #[track_caller]
    pub fn assert_all_load(&self) {
        assert!(self.checked > 0, "nothing was checked: is this the right archive?\n{self}");
        assert!(self.mistakes.is_empty() && self.unreadable.is_empty(), "{self}");
    }
}

impl fmt::Display for TypeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} archived deliveries can be loaded", self.loaded, self.checked)?;
        for ((model, _), Mistake { reason, times, example }) in &self.mistakes {
            writeln!(f, "  {times} of {model}, such as {example}: {reason}")?;
        }
        for ((model, path), times) in &self.unknown {
            writeln!(f, "  {times} of {model} have {path}, which its type does not know")?;
        }
        for (model, times) in &self.without_model {
            writeln!(f, "  {times} of {model} were left out: the inbox has no such model")?;
        }
        for error in &self.unreadable {
            writeln!(f, "  could not be read: {error}")?;
        }
        Ok(())
    }
}
