use std::{
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// After this, a fault that hangs is over: a test fails and does not hang.
const LONGEST_HANG: Duration = Duration::from_secs(10);

/// What a disk of this module does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is room for so many more bytes, and then for none.
    Full {
        /// How many bytes.
        room: usize,
    },
    /// It says that so many bytes are free. Writing goes well.
    Free {
        /// How many bytes.
        bytes: u64,
    },
    /// Reading the free space blocks until there is another fault or none. After 10 seconds it succeeds, and the fault
    /// is over. Writing goes well.
    HangingFreeSpace,
    /// Every sync blocks until there is another fault or none, and then succeeds. After 10 seconds the fault is over.
    HangingSync,
    /// Nothing can be changed.
    ReadOnly,
    /// Every sync fails.
    Unsynced,
    /// The one call that comes after so many others fails; calls that only read do not count.
    OneCall {
        /// How many calls go well before.
        after: usize,
    },
    /// As [`Fault::OneCall`], with what the operating system says.
    OneError {
        /// How many calls go well before.
        after: usize,
        /// The number of the error, such as 5 for `EIO` on Linux.
        errno: i32,
    },
    /// Every call fails that comes after so many others; calls that only read do not count.
    From {
        /// How many calls go well before.
        after: usize,
    },
    /// The one call that comes after so many others takes half of what it is to write, if it writes.
    OneShortWrite {
        /// How many calls go well before.
        after: usize,
    },
}

/// The faults of a disk, shared by all that use it.
#[derive(Debug, Default)]
pub(super) struct Faults {
    fault: Mutex<Option<Fault>>,
    misused: AtomicBool,
    /// How many calls hang.
    hanging: AtomicUsize,
}

impl Faults {
    pub(super) fn set(&self, fault: Option<Fault>) {
        *self.fault() = fault;
    }

    pub(super) fn now(&self) -> Option<Fault> {
        *self.fault()
    }

    pub(super) fn was_misused(&self) -> bool {
        self.misused.load(Ordering::Relaxed)
    }

    /// The file was used after a sync of it had failed.
    pub(super) fn note_misuse(&self) {
        self.misused.store(true, Ordering::Relaxed);
    }

    fn fault(&self) -> MutexGuard<'_, Option<Fault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the free space is read. Blocks for [`Fault::HangingFreeSpace`].
    pub(super) fn read_free_space(&self) {
        self.hang(Fault::HangingFreeSpace);
    }

    /// Whether a call hangs.
    pub(super) fn is_hanging(&self) -> bool {
        self.hanging.load(Ordering::Acquire) > 0
    }

    fn hang(&self, fault: Fault) {
        let start = Instant::now();
        self.hanging.fetch_add(1, Ordering::Release);
        while self.now() == Some(fault) {
            if start.elapsed() >= LONGEST_HANG {
                self.set(None);
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.hanging.fetch_sub(1, Ordering::Release);
    }

    /// Before a call that changes something.
    pub(super) fn change(&self) -> io::Result<()> {
        self.write(0).map(drop)
    }

    /// Before a call that makes something durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.hang(Fault::HangingSync);
        match self.now() {
            Some(Fault::Unsynced) => Err(io::Error::other("this sync was to fail")),
            _ => self.change(),
        }
    }

    /// Before a call that writes so many bytes; says how many of them it takes.
    pub(super) fn write(&self, wanted: usize) -> io::Result<usize> {
        let mut fault = self.fault();
        match &mut *fault {
            None
            | Some(
                Fault::Unsynced | Fault::Free { .. } | Fault::HangingFreeSpace | Fault::HangingSync,
            ) => Ok(wanted),
            Some(Fault::ReadOnly) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Some(Fault::Full { room: 0 }) if wanted > 0 => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Full { room }) => {
                let taken = wanted.min(*room);
                *room -= taken;
                Ok(taken)
            }
            Some(
                Fault::OneCall { after }
                | Fault::OneError { after, .. }
                | Fault::OneShortWrite { after }
                | Fault::From { after },
            ) if *after > 0 => {
                *after -= 1;
                Ok(wanted)
            }
            Some(Fault::From { .. }) => Err(io::Error::other("from this call on all were to fail")),
            Some(once) => {
                let once = *once;
                *fault = None;
                happen(once, wanted)
            }
        }
    }
}

/// What comes of a call when it is its turn to go wrong.
fn happen(once: Fault, wanted: usize) -> io::Result<usize> {
    match once {
        Fault::OneShortWrite { .. } => Ok(wanted.div_ceil(2)),
        Fault::OneError { errno, .. } => Err(io::Error::from_raw_os_error(errno)),
        _ => Err(io::Error::other("this call was to fail")),
    }
}
