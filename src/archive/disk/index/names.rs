use std::{collections::HashMap, hash::Hash, num::NonZeroU32};

/// Numbers from one on for what many deliveries have in common: their models, their segments.
#[derive(Debug)]
pub(super) struct Names<T> {
    names: Vec<T>,
    numbers: HashMap<T, NonZeroU32>,
}

impl<T: Clone + Eq + Hash> Names<T> {
    /// The number of a name, which may be new.
    pub(super) fn number(&mut self, name: &T) -> NonZeroU32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.clone());
        let number = u32::try_from(self.names.len()).ok().and_then(NonZeroU32::new);
        let number = number.unwrap_or(NonZeroU32::MAX);
        self.numbers.insert(name.clone(), number);
        number
    }

    pub(super) fn name(&self, number: NonZeroU32) -> Option<&T> {
        self.names.get(usize::try_from(number.get()).ok()? - 1)
    }
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { names: Vec::new(), numbers: HashMap::new() }
    }
}
