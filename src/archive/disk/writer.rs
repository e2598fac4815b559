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
    plan::{Answer, Command, Plan},
    queue::Queue,
};
use crate::archive::ArchiveError;

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
    /// Starts the thread. It ends when the queue is closed and empty.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("inbox-archive".to_owned()).spawn(move || self.run())
    }

    fn run(mut self) {
        let _closing = CloseOnDrop(Arc::clone(&self.queue));
        let mut pace = Pace::new();
        while let Some(commands) = self.queue.take_all(pace) {
            pace = self.commit(commands);
        }
    }

    fn commit(&mut self, commands: Vec<Command>) -> Pace {
        let began = Instant::now();
        let mut plan =
            Plan::of(commands, &self.index.read().unwrap_or_else(PoisonError::into_inner));
        for (answer, error) in mem::take(&mut plan.refused) {
            answer.failed(error);
        }
        let seals = mem::take(&mut plan.seals);
        let pace = if plan.entries.is_empty() { Pace::new() } else { self.write(plan, began) };
        for reply in seals {
            drop(reply.send(self.log.seal_now().map_err(ArchiveError::from)));
        }
        pace
    }

    fn write(&mut self, plan: Plan, began: Instant) -> Pace {
        match self.log.append(&plan.entries) {
            Ok(places) => {
                let told = self.remember(plan.entries, &places);
                let now = Instant::now();
                let pace = Pace::after(told, self.queue.deliveries(), now - began, now);
                plan.answers.into_iter().for_each(Answer::done);
                pace
            }
            Err(failure) => {
                plan.answers.into_iter().for_each(|answer| answer.failed(failure.error()));
                Pace::new()
            }
        }
    }

    /// Says how many deliveries there were.
    fn remember(&self, entries: Vec<Entry>, places: &[Place]) -> usize {
        let mut deliveries = 0;
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for (entry, place) in entries.into_iter().zip(places) {
            match entry {
                Entry::Delivery(delivery) => {
                    deliveries += 1;
                    index.insert(&Facts::of(&delivery), *place);
                }
                Entry::Outcome { of, outcome } => {
                    index.settle(of, &outcome);
                }
                Entry::Repeat { .. } | Entry::Removed(_) => {}
            }
        }
        deliveries
    }
}

/// Should the writer ever die, nobody may wait for it.
struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
        drop(self.0.take_all(Pace::new()));
    }
}
