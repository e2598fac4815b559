/// How many deliveries workers may handle at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of all models.
    pub(crate) all: usize,
    /// Of one model; `None` leaves one free for the others, if there are others.
    pub(crate) each_model: Option<usize>,
}

impl Limits {
    /// How many of one model, where so many models have something to do.
    pub(super) fn of_one(&self, models: usize) -> usize {
        let others = usize::from(models > 1);
        self.each_model.unwrap_or(self.all.saturating_sub(others)).clamp(1, self.all.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_model_leaves_room_for_others_only_where_there_are_others() {
        let limits = Limits { all: 4, each_model: None };
        assert_eq!((limits.of_one(1), limits.of_one(2)), (4, 3));
        assert_eq!(Limits { all: 1, each_model: None }.of_one(2), 1);
        assert_eq!(Limits { all: 4, each_model: Some(2) }.of_one(1), 2);
        assert_eq!(Limits { all: 4, each_model: Some(0) }.of_one(1), 1);
    }
}
