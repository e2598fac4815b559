use std::{collections::BTreeMap, time::Duration};

/// How often each duration was recorded, in microseconds rounded to two significant digits. A quantile is therefore
/// wrong by at most 5 %.
///
/// Takes little memory whatever is recorded: there are 90 different values in each power of ten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Histogram(BTreeMap<u64, u64>);

impl Histogram {
    pub(super) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        *self.0.entry(two_digits(micros)).or_default() += 1;
    }

    /// Adds what another one has recorded.
    pub(super) fn add(&mut self, other: &Self) {
        for (micros, count) in &other.0 {
            *self.0.entry(*micros).or_default() += count;
        }
    }

    /// The number of recorded durations.
    pub(super) fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The shortest recorded duration that at least `percent` of all do not exceed; `None` if there are none.
    pub(super) fn quantile(&self, percent: u64) -> Option<Duration> {
        let rank = (self.count() * percent).div_ceil(100);
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.map(|(micros, _)| Duration::from_micros(*micros))
    }
}

/// Rounds to two significant digits, half up. The largest numbers become the largest that has two.
fn two_digits(number: u64) -> u64 {
    let unit = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number.saturating_add(unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        millis.into_iter().for_each(|millis| histogram.record(Duration::from_millis(millis)));
        histogram
    }

    fn millis(histogram: &Histogram, percent: u64) -> Option<u128> {
        histogram.quantile(percent).map(|duration| duration.as_millis())
    }

    #[test]
    fn quantiles_are_those_of_the_nearest_rank() {
        let hundred = of(1..=100);
        assert_eq!([1, 50, 51, 99].map(|p| millis(&hundred, p)), [1, 50, 51, 99].map(Some));
        let skewed = of([7; 98].into_iter().chain([900, 2000]));
        assert_eq!([50, 98, 99, 100].map(|p| millis(&skewed, p)), [7, 7, 900, 2000].map(Some));
        assert_eq!(millis(&of([3, 1, 2]), 50), Some(2));
    }

    #[test]
    fn no_value_has_no_quantile_and_one_value_is_all_quantiles() {
        assert_eq!(Histogram::default().quantile(50), None);
        let one = of([42]);
        assert_eq!([0, 50, 99, 100].map(|p| millis(&one, p)), [Some(42); 4]);
        assert_eq!(of([0]).quantile(99), Some(Duration::ZERO));
    }

    #[test]
    fn histograms_are_added() {
        let mut sum = of([1, 2]);
        sum.add(&of([2, 3]));
        assert_eq!(sum, of([1, 2, 2, 3]));
        assert_eq!(sum.count(), 4);
    }

    #[test]
    fn durations_are_rounded_to_two_digits_so_that_memory_is_bounded() {
        let rounded = [0, 9, 99, 994, 995, 12_499, 12_500, u64::MAX].map(two_digits);
        assert_eq!(rounded, [0, 9, 99, 990, 1000, 12_000, 13_000, 18 * 10_u64.pow(18)]);
        let mut histogram = Histogram::default();
        (0..200_000).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        histogram.record(Duration::MAX);
        assert!(histogram.0.len() < 500, "{}", histogram.0.len());
        assert_eq!(histogram.count(), 200_001);
    }
}
