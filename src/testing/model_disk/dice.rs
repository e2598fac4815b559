use super::choice::Choice;

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
