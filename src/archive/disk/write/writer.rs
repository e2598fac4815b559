use std::{
    io, mem,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::time::Instant;

use super::{
    command::{Answer, Command},
    log::{Log, NotArchived},
    plan::{Change, Plan},
    queue::{BatchWindow, Part, Queue},
};
use crate::{
    archive::{
        ArchiveError,
        disk::{
            format::entry::{DeliveryMeta, Entry, Place},
            fs::{
                file_system::{Failure, Lock},
                lock,
                stall::StallWatch,
            },
            health::Condition,
            index::{ForeignRecord, Index, SharedIndex},
        },
    },
    supervise::catch_and_report,
};

/// The number of changes that are applied and answered at a time.
const TOGETHER: usize = 16;

/// The single writer thread: takes all queued commands, plans their effect, writes the entries at once, syncs once,
/// applies the changes to the index, and answers.
#[derive(Debug)]
pub(in crate::archive::disk) struct Writer {
    pub(in crate::archive::disk) log: Log,
    pub(in crate::archive::disk) index: Arc<SharedIndex>,
    pub(in crate::archive::disk) queue: Arc<Queue>,
    pub(in crate::archive::disk) condition: Arc<Condition>,
    pub(in crate::archive::disk) stall: StallWatch,
    /// Excludes other writers for the lifetime of this one.
    pub(in crate::archive::disk) lock: Lock,
    /// Commands deferred to this batch, because the previous batch changed their deliveries.
    pub(in crate::archive::disk) carried: Vec<Command>,
    /// The latest time at which a command was issued.
    pub(in crate::archive::disk) latest: Option<Instant>,
}

impl Writer {
    /// Starts the thread. It ends when the queue is closed and empty, or when it panics: then the queue is closed, and
    /// waiting callers get an error.
    pub(in crate::archive::disk) fn start(self) -> io::Result<JoinHandle<()>> {
        let run = move || catch_and_report("archive-writer", || self.run()).unwrap_or_default();
        thread::Builder::new().name("inbox-archive".to_owned()).spawn(run)
    }

    fn run(mut self) {
        let _closing = CloseOnDrop(Arc::clone(&self.queue));
        let mut window = BatchWindow::new();
        while let Some(plan) = self.gather(window) {
            window = self.commit(plan);
        }
    }

    /// Takes queued commands, and plans them while further commands arrive. `None` once the queue is closed and empty.
    fn gather(&mut self, window: BatchWindow) -> Option<Plan> {
        let mut plan = Plan::after(self.latest);
        if !self.carried.is_empty() {
            let carried = mem::take(&mut self.carried);
            self.plan(&mut plan, carried);
            self.plan(&mut plan, self.queue.take_now());
            return Some(plan);
        }
        loop {
            let Part { commands, last } = self.queue.take(window, plan.appends());
            if last && commands.is_empty() && plan.appends() == 0 {
                return None;
            }
            self.plan(&mut plan, commands);
            if last {
                return Some(plan);
            }
        }
    }

    fn plan(&self, plan: &mut Plan, commands: Vec<Command>) {
        self.index.read(|index| plan.add(commands, index));
        self.log.encode_ahead(&mut plan.batch);
    }

    fn commit(&mut self, mut plan: Plan) -> BatchWindow {
        let began = std::time::Instant::now();
        let _writing = self.stall.begin();
        self.carried = mem::take(&mut plan.waiting);
        self.latest = plan.latest;
        if !plan.unreadable.is_empty() {
            let unreadable = mem::take(&mut plan.unreadable);
            self.index.write(|index| {
                for (id, place) in unreadable {
                    index.note_unreadable(id, place);
                }
            });
        }
        self.answer_unwritten(mem::take(&mut plan.immediate));
        let seals = mem::take(&mut plan.seals);
        let window =
            if plan.changes.is_empty() { BatchWindow::new() } else { self.write(plan, began) };
        for reply in seals {
            drop(reply.send(self.log.seal_now().map_err(ArchiveError::from)));
        }
        window
    }

    /// Answers commands that need no write, such as a repeat. The answer to a repeat states that the first delivery is
    /// durable, which does not hold while the directory is not at its path.
    fn answer_unwritten(&mut self, answers: Vec<Answer>) {
        if answers.is_empty() {
            return;
        }
        match self.log.check_place(&self.lock, answers.len()) {
            Ok(()) => answers.into_iter().for_each(|answer| self.carried.extend(answer.done())),
            Err(error) => answers.into_iter().for_each(|answer| answer.failed(error.error())),
        }
    }

    fn write(&mut self, mut plan: Plan, began: std::time::Instant) -> BatchWindow {
        let written = self.log.append(&mut plan.batch, &self.lock);
        self.condition.write_ended(written.is_ok(), written.is_err() && self.lost_lock());
        match written {
            Ok(places) => {
                let now = std::time::Instant::now();
                let window =
                    BatchWindow::after(plan.appends(), self.queue.deliveries(), now - began, now);
                self.apply(plan, places);
                window
            }
            Err(error) => {
                self.discard(plan, &error);
                BatchWindow::new()
            }
        }
    }

    /// Returns whether the lock file was deleted or replaced. If the whole directory is gone, it may come back.
    fn lost_lock(&self) -> bool {
        let Log { fs, dir, .. } = &self.log;
        lock::check(&**fs, dir, &self.lock).is_err() && fs.list(dir).is_ok()
    }

    /// Applies durable changes to the index, and answers in small groups, so that the first callers can send again
    /// while the others are answered. A segment that the batch has filled is sealed before the last group is answered,
    /// so that the files do not change after the answer to a caller that writes one delivery at a time.
    fn apply(&mut self, plan: Plan, places: Vec<Place>) {
        let entries = plan.batch.into_entries().into_iter();
        let mut durable = entries.zip(places).zip(plan.changes);
        let mut answers = plan.answers.into_iter().peekable();
        let mut applied = 0;
        loop {
            let few: Vec<_> = durable.by_ref().take(TOGETHER).collect();
            if few.is_empty() {
                return;
            }
            applied += few.len();
            self.index.write(|index| {
                for ((entry, place), change) in few {
                    apply(index, entry, place, change);
                }
            });
            if durable.len() == 0 {
                self.log.seal_full();
            }
            while let Some((_, answer)) = answers.next_if(|(after, _)| *after <= applied) {
                self.carried.extend(answer.done());
            }
        }
    }

    /// Discards the batch, but ends leases whose holders are gone.
    fn discard(&self, plan: Plan, error: &NotArchived) {
        self.index.write(|index| {
            for (entry, change) in plan.batch.into_entries().into_iter().zip(plan.changes) {
                let Entry::State { of, state } = &entry else { continue };
                noted(match change {
                    Change::PutBack { due, released: true } => index.put_back(*of, state, due),
                    Change::Block { on, now } => index.block(*of, state, on, now),
                    _ => Ok(()),
                });
            }
        });
        plan.answers.into_iter().for_each(|(_, answer)| answer.failed(error.error()));
    }
}

fn apply(index: &mut Index, entry: Entry, place: Place, change: Change) {
    match &entry {
        Entry::State { of, .. } => index.wrote(ForeignRecord::State, &[*of], place),
        Entry::Removal(ids) => index.wrote(ForeignRecord::Removal, ids, place),
        Entry::Delivery { .. } | Entry::Removed(_) => index.note_end(place),
    }
    noted(match (entry, change) {
        (Entry::Delivery { delivery, .. }, Change::Store { token, now }) => {
            index.store(&DeliveryMeta::of(&delivery), place, token, now)
        }
        (Entry::State { of, state }, Change::PutBack { due, .. }) => {
            index.put_back(of, &state, due)
        }
        (Entry::State { of, state }, Change::Block { on, now }) => index.block(of, &state, on, now),
        (Entry::State { of, state }, Change::Lease { token }) => index.lease(of, &state, token),
        (Entry::Removal(ids), Change::Remove) => {
            ids.into_iter().try_for_each(|id| index.mark_removed(id))
        }
        // A plan contains no other pairs; ledger entries are written by the compactor.
        _ => Ok(()),
    });
}

/// Logs a change that could not be applied. A durable change cannot be rejected any more. This is rare, because the
/// entry was read when its change was planned.
fn noted(applied: Result<(), Failure>) {
    if let Err(failure) = applied {
        let source = std::error::Error::source(&failure);
        tracing::error!(error = %failure, source, "a change is durable, and not known until the archive is opened again");
    }
}

/// Closes the queue if the writer panics, and refuses the commands that it did not take, so that no caller waits for it.
struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
        self.0.take_now().into_iter().for_each(Command::refuse);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn commands_that_a_panicking_writer_did_not_take_are_refused_as_closed() {
        let queue = Arc::new(Queue::new(1));
        let (reply, mut answer) = oneshot::channel();
        queue.push(Command::Seal(reply)).unwrap();
        drop(CloseOnDrop(Arc::clone(&queue)));
        assert!(matches!(answer.try_recv(), Ok(Err(ArchiveError::Closed))));
        let (reply, _answer) = oneshot::channel();
        assert!(matches!(queue.push(Command::Seal(reply)), Err(ArchiveError::Closed)));
    }
}
