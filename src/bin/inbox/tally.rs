use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;

/// How often which status came, and for which reason none.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<Result<StatusCode, String>, u64>);

impl Tally {
    pub(crate) fn count(&mut self, answer: Result<StatusCode, String>) {
        *self.0.entry(answer).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (answer, count) in other.0 {
            *self.0.entry(answer).or_default() += count;
        }
    }

    pub(crate) fn all_accepted(&self) -> bool {
        self.0.keys().all(|answer| answer.as_ref().is_ok_and(StatusCode::is_success))
    }

    /// The lines that are shown.
    pub(crate) fn page(&self, took: Duration) -> String {
        let line = |(answer, count): (&Result<StatusCode, String>, &u64)| match answer {
            Ok(status) => format!("{count:>12}  {status}\n"),
            Err(reason) => format!("{count:>12}  no answer: {reason}\n"),
        };
        let lines: String = self.0.iter().map(line).collect();
        format!("{lines}{:>12.3}  seconds\n", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_status_and_reason() {
        let (mut tally, mut other) = (Tally::default(), Tally::default());
        tally.count(Ok(StatusCode::OK));
        assert!(tally.all_accepted());
        other.count(Ok(StatusCode::OK));
        other.count(Err("refused".to_owned()));
        tally.add(other);
        assert!(!tally.all_accepted());
        let page =
            "           2  200 OK\n           1  no answer: refused\n       1.500  seconds\n";
        assert_eq!(tally.page(Duration::from_millis(1500)), page);
    }
}
