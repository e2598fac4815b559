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
