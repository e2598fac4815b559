use std::collections::BTreeMap;

use crate::delivery::ModelName;

/// How many deliveries of some kind each model has, counted again and again.
///
/// A model of which nothing is left keeps its place, with 0: otherwise its gauge would stay where it was for ever.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<ModelName, u64>);

impl Tally {
    /// Counts anew from here on.
    pub(super) fn restart(&mut self) {
        self.0.values_mut().for_each(|count| *count = 0);
    }

    pub(super) fn add(&mut self, model: &ModelName) {
        match self.0.get_mut(model) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(model.clone(), 1)),
        }
    }

    pub(super) fn tell(&self, gauge: impl Fn(&ModelName, u64)) {
        self.0.iter().for_each(|(model, count)| gauge(model, *count));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_model_of_which_nothing_is_left_is_told_with_0() {
        let (a, b): (ModelName, ModelName) = ("/a".parse().unwrap(), "/b".parse().unwrap());
        let mut tally = Tally::default();
        for model in [&a, &a, &b] {
            tally.add(model);
        }
        tally.restart();
        tally.add(&b);
        let told = RefCell::new(Vec::new());
        tally.tell(|model, count| told.borrow_mut().push((model.to_string(), count)));
        assert_eq!(told.into_inner(), [("/a".to_owned(), 0), ("/b".to_owned(), 1)]);
    }
}
