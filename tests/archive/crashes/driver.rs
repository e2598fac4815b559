//! Sends requests to an archive, and records the number of disk calls before each response.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use tower_inbox::{
    Archive, DeliveryId, DiskArchive,
    archive::{Acquire, Append, ArchiveError, Claim, Lease, Query, Release, Work},
    testing::ModelDisk,
};

use super::promises::{Answer, Asked, What};

pub(crate) struct Driver {
    pub(crate) disk: ModelDisk,
    pub(crate) asked: Vec<Asked>,
    /// The leases in the open archive.
    pub(crate) leases: HashMap<DeliveryId, Lease>,
}

/// Records the number of disk calls when the archive wakes the waiting task.
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

/// A request that has no response yet.
struct Begun {
    what: What,
    at: usize,
    work: Work<Answer>,
    stamp: Arc<Stamp>,
}

impl Driver {
    pub(crate) fn new(disk: ModelDisk) -> Self {
        Self { disk, asked: Vec::new(), leases: HashMap::new() }
    }

    /// Sends one request and waits for the response.
    pub(crate) fn ask(&mut self, archive: &DiskArchive, what: What) {
        self.lease_for(archive, &what);
        let begun = self.begin(archive, what);
        self.finish(begun);
    }

    /// Leases the delivery of a settle or release, unless it already has a lease or cannot be leased.
    fn lease_for(&mut self, archive: &DiskArchive, what: &What) {
        if let What::Settle(id, _) | What::Release(id) = what
            && !self.leases.contains_key(id)
        {
            let begun = self.begin(archive, What::Acquire(*id));
            self.finish(begun);
        }
    }

    /// Sends one request and, while it is being written, the others, which form one batch. Waits for all responses.
    pub(crate) fn ask_together(&mut self, archive: &DiskArchive, first: What, rest: Vec<What>) {
        for what in &rest {
            self.lease_for(archive, what);
        }
        self.lease_for(archive, &first);
        self.disk.hold();
        let mut begun = vec![self.begin(archive, first)];
        assert!(begun[0].poll().is_none(), "the answer came before the write");
        self.disk.wait_until_held();
        for what in rest {
            if let What::Settle(id, _) | What::Release(id) = &what
                && !self.leases.contains_key(id)
            {
                // The delivery could not be leased.
                continue;
            }
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
        Begun { at, work: self.work(archive, what.clone()), what, stamp: Arc::new(stamp) }
    }

    fn finish(&mut self, mut begun: Begun) {
        let answer = loop {
            match begun.poll() {
                Some(answer) => break answer,
                None => thread::park(),
            }
        };
        let answered_at = begun.stamp.calls.load(Ordering::SeqCst).min(self.disk.calls());
        self.take_leases(&answer);
        self.asked.push(Asked { what: begun.what, at: begun.at, answer, answered_at });
    }

    fn take_leases(&mut self, answer: &Answer) {
        let leases: Vec<Lease> = match answer {
            Answer::Appended(appended) => appended.lease.into_iter().collect(),
            Answer::Acquired(acquired) => acquired.lease.into_iter().collect(),
            Answer::Claimed(claimed) => claimed.leases.iter().map(|(_, lease)| *lease).collect(),
            _ => return,
        };
        self.leases.extend(leases.into_iter().map(|lease| (lease.id(), lease)));
    }

    fn work(&self, archive: &DiskArchive, what: What) -> Work<Answer> {
        let lease = |id| self.leases.get(&id).copied();
        match what {
            What::Append(delivery) => {
                answered(archive.append(Append::new(delivery)), Answer::Appended)
            }
            What::AppendLeased(delivery) => {
                let append = Append::new(delivery).leased_for(LENGTH);
                answered(archive.append(append), Answer::Appended)
            }
            What::Acquire(id) => {
                answered(archive.acquire(Acquire::new(id).reviving()), Answer::Acquired)
            }
            What::Claim => {
                let claim = Claim::new(vec![("/m".parse().unwrap(), 2)], 2);
                answered(archive.claim(claim), Answer::Claimed)
            }
            What::Settle(id, outcome) => match lease(id) {
                Some(lease) => {
                    let work = archive.settle(lease, outcome.clone(), Duration::ZERO);
                    answered(work, |()| Answer::Changed(outcome.into()))
                }
                None => Box::pin(async { Ok(Answer::Lost) }),
            },
            What::Release(id) => match lease(id) {
                Some(lease) => {
                    let state = format!("pending {} {}", lease.attempt() - 1, lease.crashes());
                    let state = state.parse().unwrap();
                    let work = archive.release(lease, Release::After(Duration::ZERO));
                    answered(work, |()| Answer::Changed(state))
                }
                None => Box::pin(async { Ok(Answer::Lost) }),
            },
            What::Retry(id) => answered(archive.retry(Query::all().id(id)), Answer::Retried),
            What::Remove(id) => answered(archive.remove(Query::all().id(id)), Answer::Removed),
            What::RemoveBefore(time) => {
                answered(archive.remove(Query::all().before(time)), Answer::Removed)
            }
            What::Upkeep => {
                let archive = archive.clone();
                let work = Box::pin(async move { archive.maintain_now().await });
                answered(work, |()| Answer::KeptUp)
            }
        }
    }
}

const LENGTH: Duration = Duration::from_secs(60);

fn answered<T: Send + 'static>(
    work: Work<T>,
    answer: impl FnOnce(T) -> Answer + Send + 'static,
) -> Work<Answer> {
    Box::pin(async {
        Ok(match work.await {
            Ok(done) => answer(done),
            Err(ArchiveError::LeaseLost { .. } | ArchiveError::Unknown { .. }) => Answer::Lost,
            Err(_) => Answer::Failed,
        })
    })
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
