//! Asks an archive, and knows after how many calls to the disk each answer came.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use tower_inbox::{
    Archive, DiskArchive,
    archive::{Query, Work},
    testing::ModelDisk,
};

use super::promises::{Answer, Asked, What};

pub(crate) struct Driver {
    pub(crate) disk: ModelDisk,
    pub(crate) asked: Vec<Asked>,
}

/// Notes the moment at which the archive wakes who waits.
struct Stamp {
    disk: ModelDisk,
    calls: AtomicUsize,
    waiting: Thread,
}

impl Wake for Stamp {
    fn wake(self: Arc<Self>) {
        self.calls.fetch_min(self.disk.calls(), Ordering::SeqCst);
        self.waiting.unpark();
    }
}

/// What is under way.
struct Begun {
    what: What,
    at: usize,
    work: Work<Answer>,
    stamp: Arc<Stamp>,
}

impl Driver {
    pub(crate) fn new(disk: ModelDisk) -> Self {
        Self { disk, asked: Vec::new() }
    }

    /// Asks one thing and waits for the answer.
    pub(crate) fn ask(&mut self, archive: &DiskArchive, what: What) {
        let begun = self.begin(archive, what);
        self.finish(begun);
    }

    /// Asks one thing and, while it is being written, the others: they are one batch. Waits for all answers.
    pub(crate) fn ask_together(&mut self, archive: &DiskArchive, first: What, rest: Vec<What>) {
        self.disk.hold();
        let mut begun = vec![self.begin(archive, first)];
        assert!(begun[0].poll().is_none(), "the answer came before the write");
        self.disk.wait_until_held();
        for what in rest {
            let mut one = self.begin(archive, what);
            assert!(one.poll().is_none(), "the answer came before the write");
            begun.push(one);
        }
        self.disk.release();
        for one in begun {
            self.finish(one);
        }
    }

    fn begin(&self, archive: &DiskArchive, what: What) -> Begun {
        let at = self.disk.calls();
        let calls = AtomicUsize::new(usize::MAX);
        let stamp = Stamp { disk: self.disk.clone(), calls, waiting: thread::current() };
        Begun { at, work: begin(archive, what.clone()), what, stamp: Arc::new(stamp) }
    }

    fn finish(&mut self, mut begun: Begun) {
        let answer = loop {
            match begun.poll() {
                Some(answer) => break answer,
                None => thread::park(),
            }
        };
        let answered_at = begun.stamp.calls.load(Ordering::SeqCst).min(self.disk.calls());
        self.asked.push(Asked { what: begun.what, at: begun.at, answer, answered_at });
    }
}

fn begin(archive: &DiskArchive, what: What) -> Work<Answer> {
    match what {
        What::Append(delivery) => {
            let work = archive.append(delivery);
            Box::pin(async { Ok(work.await.map_or(Answer::Refused, Answer::Receipt)) })
        }
        What::Settle(id, outcome) => {
            let work = archive.settle(id, outcome);
            Box::pin(async { Ok(work.await.map_or(Answer::Refused, |()| Answer::Settled)) })
        }
        What::Remove(id) => remove(archive, Query::all().id(id)),
        What::RemoveBefore(time) => remove(archive, Query::all().before(time)),
        What::Upkeep => {
            let archive = archive.clone();
            let work = async move { archive.upkeep_now().await };
            Box::pin(async { Ok(work.await.map_or(Answer::Refused, |()| Answer::KeptUp)) })
        }
    }
}

fn remove(archive: &DiskArchive, query: Query) -> Work<Answer> {
    let work = archive.remove(query);
    Box::pin(async { Ok(work.await.map_or(Answer::Refused, Answer::Removed)) })
}

impl Begun {
    fn poll(&mut self) -> Option<Answer> {
        let waker = Waker::from(Arc::clone(&self.stamp));
        match self.work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => Some(answer.unwrap()),
            Poll::Pending => None,
        }
    }
}
