use std::{collections::HashMap, sync::Arc};

/// The reasons of outcomes. What many deliveries have in common is kept once, and for as long as one of them needs it.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Option<Text>>,
    /// Numbers that nobody has.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Text {
    text: Arc<str>,
    /// How many need it.
    needed: u32,
}

impl Reasons {
    /// The number of a reason, for one more that needs it.
    pub(super) fn take(&mut self, reason: &str) -> u32 {
        if let Some(number) = self.numbers.get(reason).copied() {
            if let Some(text) = self.text_mut(number) {
                text.needed += 1;
            }
            return number;
        }
        let text: Arc<str> = reason.into();
        let number = self.free.pop().unwrap_or_else(|| {
            self.texts.push(None);
            // There are no more reasons than deliveries, and not more deliveries than that.
            u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(slot) = self.texts.get_mut(index(number)) {
            *slot = Some(Text { text: text.clone(), needed: 1 });
        }
        self.numbers.insert(text, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> Option<&str> {
        Some(&self.texts.get(index(number))?.as_ref()?.text)
    }

    /// One less needs it.
    pub(super) fn give_back(&mut self, number: u32) {
        let Some(text) = self.text_mut(number) else { return };
        text.needed -= 1;
        if text.needed > 0 {
            return;
        }
        if let Some(Text { text, .. }) = self.texts.get_mut(index(number)).and_then(Option::take) {
            self.numbers.remove(&text);
            self.free.push(number);
        }
    }

    fn text_mut(&mut self, number: u32) -> Option<&mut Text> {
        self.texts.get_mut(index(number))?.as_mut()
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_kept_once_and_as_long_as_it_is_needed() {
        let mut reasons = Reasons::default();
        let (a, b) = (reasons.take("a"), reasons.take("b"));
        assert_eq!(reasons.take("a"), a);
        reasons.give_back(a);
        assert_eq!((reasons.get(a), reasons.get(b)), (Some("a"), Some("b")));
        reasons.give_back(a);
        assert_eq!(reasons.get(a), None);
        let c = reasons.take("c");
        assert_eq!((c, reasons.get(c), reasons.texts.len()), (a, Some("c"), 2));
    }
}
