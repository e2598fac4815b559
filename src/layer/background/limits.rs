/// How many deliveries workers may handle at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of all models.
    pub(crate) all: usize,
    /// Of one model; `None` leaves some free for the others, if there are others.
    pub(crate) each_model: Option<usize>,
}

/// What workers are at, as one model sees it that has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// Deliveries of all models.
    pub(super) all: usize,
    /// Of this one.
    pub(super) own: usize,
    /// Other models of which nothing is handled now. They may have something to do at any time.
    pub(super) idle_models: usize,
}

impl Limits {
    /// Whether one more of the model may be handled.
    ///
    /// Whoever has nothing at work gets the next worker that is free. Others leave one for each idle model, but no more
    /// than half of all: with many models and few workers a busy one would otherwise be handled one by one.
    pub(super) fn allow(&self, load: Load) -> bool {
        let free = self.all.saturating_sub(load.all);
        let kept = match self.each_model {
            Some(most) if load.own >= most.max(1) => return false,
            Some(_) => 0,
            None if load.own == 0 => 0,
            None => load.idle_models.min(self.all.div_ceil(2)),
        };
        free > kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many workers each of several models gets that never give one back, if they come one after the other.
    fn taken(limits: Limits, models: usize) -> Vec<usize> {
        let mut taken = vec![0; models];
        for model in 0..models {
            let load = |taken: &[usize]| Load {
                all: taken.iter().sum(),
                own: taken[model],
                idle_models: taken.iter().filter(|own| **own == 0).count()
                    - usize::from(taken[model] == 0),
            };
            while limits.allow(load(&taken)) {
                taken[model] += 1;
            }
        }
        taken
    }

    #[test]
    fn models_that_never_give_a_worker_back_leave_one_for_each_of_the_others() {
        let of = |all, models| taken(Limits { all, each_model: None }, models);
        assert_eq!(of(4, 1), [4]);
        assert_eq!(of(2, 2), [1, 1]);
        assert_eq!(of(4, 2), [3, 1]);
        assert_eq!(of(3, 3), [1, 1, 1]);
        assert_eq!(of(4, 3), [2, 1, 1]);
        assert_eq!(of(8, 3), [6, 1, 1]);
    }

    #[test]
    fn of_few_workers_at_least_half_are_for_the_first_that_is_busy() {
        let of = |all, models| taken(Limits { all, each_model: None }, models);
        assert_eq!(of(8, 20)[..6], [4, 1, 1, 1, 1, 0]);
        assert_eq!(of(1, 2), [1, 0]);
    }

    #[test]
    fn a_number_for_each_model_takes_the_place_of_what_is_left_free() {
        let of = |all, each_model| taken(Limits { all, each_model: Some(each_model) }, 3);
        assert_eq!(of(4, 2), [2, 2, 0]);
        assert_eq!(of(4, 9), [4, 0, 0]);
        assert_eq!(of(4, 0), [1, 1, 1]);
    }
}
