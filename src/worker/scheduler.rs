//! Decides which models workers may start, and how many deliveries of each. Without I/O, tasks and locks.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{archive::Claim, delivery::ModelName};

/// How many deliveries workers may process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// At a time, of all models.
    pub(super) all: usize,
    /// At a time, of one model. None leaves some for other models.
    pub(super) each_model: Option<usize>,
    /// Started in a second, of one model.
    pub(super) each_model_per_second: Option<u32>,
}

/// The running deliveries from the point of view of one model.
#[derive(Clone, Copy, Debug)]
struct Load {
    all: usize,
    own: usize,
    /// Other models without running deliveries. A delivery of them may become due at any time.
    idle_models: usize,
}

impl Limits {
    /// Returns true if one more delivery of the model may run.
    ///
    /// An idle model gets the next free worker. Other models leave one worker for each idle model, but at most half of
    /// all: with many models and few workers, a busy model would otherwise be processed one by one.
    fn allow(&self, load: Load) -> bool {
        let free = self.all.saturating_sub(load.all);
        let reserved = match self.each_model {
            Some(limit) if load.own >= limit => return false,
            Some(_) => 0,
            None if load.own == 0 => 0,
            None => load.idle_models.min(self.all.div_ceil(2)),
        };
        free > reserved
    }
}

/// The state of the worker pool.
#[derive(Debug)]
pub(super) struct Scheduler {
    limits: Limits,
    running: usize,
    suspects: usize,
    models: BTreeMap<ModelName, ModelState>,
    /// Counts claims, to serve the model first that was served longest ago.
    served: u64,
}

#[derive(Debug, Default)]
struct ModelState {
    running: usize,
    served: u64,
    bucket: Option<Bucket>,
}

/// Starts that are left for a model: refilled at the rate of its limit, and full after one second.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When the bucket was, or will be, full.
    full_at: Instant,
}

impl Bucket {
    fn left(self, per_second: u32, now: Instant) -> usize {
        let missing = self.full_at.saturating_duration_since(now);
        let left = Duration::from_secs(1).saturating_sub(missing) * per_second;
        usize::try_from(left.as_secs()).unwrap_or(usize::MAX)
    }

    fn take(&mut self, per_second: u32, now: Instant) {
        self.full_at = self.full_at.max(now) + Duration::from_secs(1) / per_second;
    }
}

/// What the pool does next.
#[derive(Debug)]
pub(super) enum Next {
    Claim(Claim),
    /// Nothing may start before something ends or changes, or before this time.
    Wait(Option<Duration>),
}

impl Scheduler {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, running: 0, suspects: 0, models: BTreeMap::new(), served: 0 }
    }

    /// What may be claimed now, of these models.
    pub(super) fn next(&self, models: &[ModelName], now: Instant) -> Next {
        let limit = self.limits.all.saturating_sub(self.running);
        if limit == 0 {
            return Next::Wait(None);
        }
        let mut wants: Vec<_> = models
            .iter()
            .map(|model| (self.served(model), model, self.allowance(model, models, now)))
            .collect();
        wants.sort_unstable_by_key(|(served, ..)| *served);
        let limited_by_rate = wants.iter().any(|(.., allowance)| allowance.is_rate_limited());
        let wants: Vec<_> = wants
            .into_iter()
            .filter(|(.., allowance)| allowance.starts > 0)
            .map(|(_, model, allowance)| (model.clone(), allowance.starts))
            .collect();
        if wants.is_empty() {
            let rate = self.limits.each_model_per_second.filter(|_| limited_by_rate);
            return Next::Wait(rate.map(|rate| Duration::from_secs(1) / rate));
        }
        Next::Claim(Claim::new(wants, limit).suspects(1_usize.saturating_sub(self.suspects)))
    }

    fn served(&self, model: &ModelName) -> u64 {
        self.models.get(model).map_or(0, |state| state.served)
    }

    fn allowance(&self, model: &ModelName, models: &[ModelName], now: Instant) -> Allowance {
        let state = self.models.get(model);
        let own = state.map_or(0, |state| state.running);
        let is_idle = |other: &&ModelName| {
            *other != model && self.models.get(*other).is_none_or(|state| state.running == 0)
        };
        let idle_models = models.iter().filter(is_idle).count();
        let more = (0..self.limits.all).take_while(|more| {
            self.limits.allow(Load { all: self.running + more, own: own + more, idle_models })
        });
        let slots = more.count();
        let starts = match self.limits.each_model_per_second {
            Some(rate) => {
                let bucket = state.and_then(|state| state.bucket);
                let burst = usize::try_from(rate).unwrap_or(usize::MAX);
                slots.min(bucket.map_or(burst, |bucket| bucket.left(rate, now)))
            }
            None => slots,
        };
        Allowance { slots, starts }
    }

    /// A delivery was claimed.
    pub(super) fn start(&mut self, model: &ModelName, suspect: bool, now: Instant) {
        self.running += 1;
        self.suspects += usize::from(suspect);
        self.served += 1;
        let state = self.models.entry(model.clone()).or_default();
        state.running += 1;
        state.served = self.served;
        if let Some(rate) = self.limits.each_model_per_second {
            state.bucket.get_or_insert(Bucket { full_at: now }).take(rate, now);
        }
    }

    /// A delivery that was claimed is done with.
    pub(super) fn end(&mut self, model: &ModelName, suspect: bool) {
        self.running = self.running.saturating_sub(1);
        self.suspects = self.suspects.saturating_sub(usize::from(suspect));
        if let Some(state) = self.models.get_mut(model) {
            state.running = state.running.saturating_sub(1);
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }
}

/// How many deliveries of a model may start.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    /// By the limits of concurrency.
    slots: usize,
    /// By the limit of starts, too.
    starts: usize,
}

impl Allowance {
    fn is_rate_limited(self) -> bool {
        self.starts < self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(all: usize, each_model: Option<usize>) -> Limits {
        Limits { all, each_model, each_model_per_second: None }
    }

    fn names(number: usize) -> Vec<ModelName> {
        (0..number).map(|number| format!("/{number:02}").parse().unwrap()).collect()
    }

    /// How many workers each model gets that never gives one back, if they come one after the other.
    fn taken(limits: Limits, number: usize) -> Vec<usize> {
        let (models, now) = (names(number), Instant::now());
        let mut scheduler = Scheduler::new(limits);
        let take_all = |model: &ModelName| {
            let starts = scheduler.allowance(model, &models, now).starts;
            (0..starts).for_each(|_| scheduler.start(model, false, now));
            starts
        };
        models.iter().map(take_all).collect()
    }

    #[test]
    fn model_that_hangs_leaves_a_worker_for_each_other_model() {
        let of = |all, models| taken(limits(all, None), models);
        assert_eq!(of(4, 1), [4]);
        assert_eq!(of(2, 2), [1, 1]);
        assert_eq!(of(4, 2), [3, 1]);
        assert_eq!(of(3, 3), [1, 1, 1]);
        assert_eq!(of(4, 3), [2, 1, 1]);
        assert_eq!(of(8, 3), [6, 1, 1]);
    }

    #[test]
    fn busy_model_has_at_least_half_of_few_workers() {
        let of = |all, models| taken(limits(all, None), models);
        assert_eq!(of(8, 20)[..6], [4, 1, 1, 1, 1, 0]);
        assert_eq!(of(1, 2), [1, 0]);
    }

    #[test]
    fn fixed_limit_for_each_model_replaces_the_reserve() {
        let of = |all, most| taken(limits(all, Some(most)), 3);
        assert_eq!(of(4, 2), [2, 2, 0]);
        assert_eq!(of(4, 9), [4, 0, 0]);
    }

    fn wants(scheduler: &Scheduler, models: &[ModelName], now: Instant) -> Option<Claim> {
        match scheduler.next(models, now) {
            Next::Claim(claim) => Some(claim),
            Next::Wait(_) => None,
        }
    }

    #[test]
    fn model_served_longest_ago_comes_first() {
        let (models, now) = (names(3), Instant::now());
        let mut scheduler = Scheduler::new(limits(9, None));
        scheduler.start(&models[0], false, now);
        scheduler.end(&models[0], false);
        let claim = wants(&scheduler, &models, now).unwrap();
        let order: Vec<_> = claim.wants.into_iter().map(|(model, _)| model).collect();
        assert_eq!(order, [models[1].clone(), models[2].clone(), models[0].clone()]);
    }

    #[test]
    fn one_suspect_runs_at_a_time() {
        let (models, now) = (names(1), Instant::now());
        let mut scheduler = Scheduler::new(limits(9, None));
        assert_eq!(wants(&scheduler, &models, now).unwrap().suspects, 1);
        scheduler.start(&models[0], true, now);
        assert_eq!(wants(&scheduler, &models, now).unwrap().suspects, 0);
        scheduler.end(&models[0], true);
        assert_eq!(wants(&scheduler, &models, now).unwrap().suspects, 1);
    }

    #[test]
    fn starts_per_second_are_limited_for_each_model() {
        let (models, mut now) = (names(1), Instant::now());
        let each_model_per_second = Some(4);
        let mut scheduler =
            Scheduler::new(Limits { all: 100, each_model: None, each_model_per_second });
        let mut started = Vec::new();
        for _ in 0..5 {
            let starts = wants(&scheduler, &models, now).map_or(0, |claim| claim.wants[0].1);
            (0..starts).for_each(|_| scheduler.start(&models[0], false, now));
            started.push(starts);
            now += Duration::from_millis(500);
        }
        assert_eq!(started, [4, 2, 2, 2, 2]);
        (0..2).for_each(|_| scheduler.start(&models[0], false, now));
        let Next::Wait(Some(wait)) = scheduler.next(&models, now) else { panic!("not limited") };
        assert_eq!(wait, Duration::from_millis(250));
    }

    #[test]
    fn nothing_is_claimed_while_all_workers_are_busy() {
        let (models, now) = (names(1), Instant::now());
        let mut scheduler = Scheduler::new(limits(1, None));
        scheduler.start(&models[0], false, now);
        assert!(matches!(scheduler.next(&models, now), Next::Wait(None)));
        scheduler.end(&models[0], false);
        assert_eq!((wants(&scheduler, &models, now).unwrap().limit, scheduler.running()), (1, 0));
    }
}
