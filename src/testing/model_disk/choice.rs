/// Decides which unsynced changes survive a crash.
pub(super) trait Choice {
    /// Picks a number below `end`, which is not zero.
    fn pick(&mut self, end: usize) -> usize;
}

/// Enumerates all combinations of decisions, lowest first. In the first combination, no unsynced change survives.
#[derive(Debug, Default)]
pub(super) struct Each {
    /// The current decisions, each with its number of alternatives.
    digits: Vec<(usize, usize)>,
    at: usize,
}

impl Choice for Each {
    fn pick(&mut self, end: usize) -> usize {
        if self.at == self.digits.len() {
            self.digits.push((0, end));
        }
        let picked = self.digits.get(self.at).map_or(0, |(picked, _)| *picked);
        self.at += 1;
        picked
    }
}

impl Each {
    /// Advances to the next combination. Returns false after the last one.
    pub(super) fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((picked, end)) = self.digits.pop() {
            if picked + 1 < end {
                self.digits.push((picked + 1, end));
                return true;
            }
        }
        false
    }
}

/// A random number generator (`SplitMix64`) that is reproducible by its seed.
///
/// ```
/// use tower_inbox::testing::Dice;
///
/// assert_eq!(Dice::new(7).below(100), Dice::new(7).below(100));
/// ```
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Creates a generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns 64 random bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a random number below `end`, or 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let roll = self.roll();
        u64::try_from(end)
            .ok()
            .and_then(|end| roll.checked_rem(end))
            .and_then(|rest| usize::try_from(rest).ok())
            .unwrap_or(0)
    }
}

impl Choice for Dice {
    fn pick(&mut self, end: usize) -> usize {
        self.below(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_combination_comes_once_even_where_one_decision_depends_on_another() {
        let mut each = Each::default();
        let mut seen = Vec::new();
        loop {
            let first = each.pick(3);
            let second = if first == 1 { each.pick(2) } else { 9 };
            seen.push((first, second));
            if !each.advance() {
                break;
            }
        }
        assert_eq!(seen, [(0, 9), (1, 0), (1, 1), (2, 9)]);
    }
}
