use std::{
    io, mem,
    sync::{Arc, PoisonError, RwLock},
    thread::{self, JoinHandle},
    time::Instant,
};

use super::{
    entry::{Entry, Facts, Place},
    index::Index,
    log::Log,
    medium::Lock,
    pace::Pace,
    plan::Plan,
    queue::{Part, Queue},
};
use crate::{archive::ArchiveError, supervise::catch};

/// How many are told at a time that theirs is durable.
const TOLD_TOGETHER: usize = 16;

/// The one that writes, on a thread of its own: takes all that waits, writes it in one go, syncs once, answers.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) queue: Arc<Queue>,
    /// Keeps other writers out for as long as this one lives.
    #[expect(dead_code, reason = "it is held, not read")]
    pub(super) lock: Lock,
}

impl Writer {
    /// Starts the thread. It ends when the queue is closed and empty, or when it panics: then the queue is closed, and
    /// whoever waits is answered that the archive is closed.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        let run = move || catch("archive-writer", || self.run()).unwrap_or_default();
        thread::Builder::new().name("inbox-archive".to_owned()).spawn(run)
    }

    fn run(mut self) {
        let _closing = CloseOnDrop(Arc::clone(&self.queue));
        let mut pace = Pace::new();
        while let Some(plan) = self.gather(pace) {
            pace = self.commit(plan);
        }
    }

    /// Takes what waits, and prepares it while the rest is on its way. Nothing is left once the queue is closed.
    fn gather(&self, pace: Pace) -> Option<Plan> {
        let mut plan = Plan::default();
        loop {
            let Part { commands, last } = self.queue.take(pace, plan.deliveries());
            if last && commands.is_empty() && plan.deliveries() == 0 {
                return None;
            }
            plan.add(commands, &self.index.read().unwrap_or_else(PoisonError::into_inner));
            self.log.encode_ahead(&mut plan.batch);
            if last {
                return Some(plan);
            }
        }
    }

    fn commit(&mut self, mut plan: Plan) -> Pace {
        let began = Instant::now();
        for (answer, error) in mem::take(&mut plan.refused) {
            answer.failed(error);
        }
        let seals = mem::take(&mut plan.seals);
        let pace =
            if plan.batch.entries().is_empty() { Pace::new() } else { self.write(plan, began) };
        for reply in seals {
            drop(reply.send(self.log.seal_now().map_err(ArchiveError::from)));
        }
        pace
    }

    fn write(&mut self, mut plan: Plan, began: Instant) -> Pace {
        match self.log.append(&mut plan.batch) {
            Ok(places) => {
                let now = Instant::now();
                let told = plan.deliveries();
                let pace = Pace::after(told, self.queue.deliveries(), now - began, now);
                self.tell(plan, places);
                pace
            }
            Err(failure) => {
                plan.answers.into_iter().for_each(|answer| answer.failed(failure.error()));
                Pace::new()
            }
        }
    }

    /// Answers for what is durable, once the index knows of it: a few at a time, so that the first of them come back while
    /// the others are told.
    fn tell(&self, plan: Plan, places: Vec<Place>) {
        let entries = plan.batch.into_entries().into_iter();
        let mut durable = entries.zip(places).zip(plan.answers);
        loop {
            let few: Vec<_> = durable.by_ref().take(TOLD_TOGETHER).collect();
            if few.is_empty() {
                return;
            }
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            for ((entry, place), _) in &few {
                remember(&mut index, entry, *place);
            }
            drop(index);
            for (_, answer) in few {
                answer.done();
            }
        }
    }
}

fn remember(index: &mut Index, entry: &Entry, place: Place) {
    match entry {
        Entry::Delivery(delivery) => {
            index.insert(&Facts::of(delivery), place);
        }
        Entry::Outcome { of, outcome } => {
            index.settle(*of, outcome);
        }
        Entry::Repeat { .. } | Entry::Removed(_) => {}
    }
}

/// If the writer panics, nobody may wait for it.
struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
        drop(self.0.take(Pace::new(), 0));
    }
}
