use std::{error::Error, time::SystemTime};

use tower_inbox::archive::Query;

use crate::time::{before_now, moment};

/// Which deliveries are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    query: Query,
    /// Whether there is an upper limit of time.
    pub(crate) limited: bool,
    given: bool,
}

impl Selection {
    pub(crate) fn flag(&mut self, name: &str) {
        self.given = true;
        let query = self.query.clone();
        self.query = if name == "pending" { query.pending() } else { query.settled() };
    }

    pub(crate) fn option(&mut self, name: &str, value: &str) -> Result<(), Box<dyn Error>> {
        let (query, now) = (self.query.clone(), SystemTime::now());
        self.given = true;
        self.limited |= matches!(name, "before" | "keep");
        self.query = match name {
            "model" => query.model(value.parse()?),
            "outcome" => query.outcome(value.parse()?),
            "since" => query.since(moment(value, now)?),
            "before" => query.before(moment(value, now)?),
            "keep" => query.before(before_now(value, now)?),
            _ => return Err(format!("there is no option --{name}").into()),
        };
        Ok(())
    }

    /// Whether less than everything is meant.
    pub(crate) fn is_given(&self) -> bool {
        self.given
    }

    pub(crate) fn query(&self) -> Query {
        self.query.clone()
    }
}
