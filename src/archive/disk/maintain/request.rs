//! Requests from other processes to an archive that is open for writing: the other process leaves a file, and the
//! archive executes the request and leaves the answer. This grants no extra rights: a process that can write to the
//! directory could also delete the files.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    archive::{
        ArchiveError, Query,
        disk::fs::{
            file_io::{read_full, write_all},
            file_system::{Failure, FileSystem},
            replace::{remove, replace},
        },
        parse_query, print_query,
    },
    delivery::DeliveryId,
};

const REQUEST: &str = ".request";
const ANSWER: &str = ".answer";

/// The maximum number of ids in one request. A longer list is split.
const MAX_IDS: usize = 100_000;

/// The maximum number of bytes read of a request or an answer: more than a request with [`MAX_IDS`] ids contains.
const MAX_LENGTH: usize = 4 << 20;

/// The first line of a retry request. A removal request has none, because its format is older.
const RETRY: &str = "retry\n";

/// A request from another process.
#[derive(Debug)]
pub(in crate::archive::disk) enum Request {
    /// Remove the head and body of the selected deliveries.
    Remove(Query),
    /// Process the selected deliveries again that are dead, undecodable or failed.
    Retry(Query),
}

impl Request {
    fn print(&self) -> String {
        match self {
            Self::Remove(query) => print_query(query),
            Self::Retry(query) => format!("{RETRY}{}", print_query(query)),
        }
    }

    /// Splits the request into equivalent requests with at most `max` ids each.
    fn split(self, max: usize) -> Vec<Self> {
        let (Self::Remove(query) | Self::Retry(query)) = &self;
        let ids = query.selected_ids().unwrap_or_default();
        if ids.len() <= max {
            return vec![self];
        }
        let part = |ids: &[DeliveryId]| {
            let query = query.clone().ids(ids.iter().copied());
            if matches!(self, Self::Remove(_)) { Self::Remove(query) } else { Self::Retry(query) }
        };
        ids.chunks(max).map(part).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(RETRY) {
            Some(query) => parse_query(query).map(Self::Retry),
            None => parse_query(text).map(Self::Remove),
        }
    }
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::archive::disk) enum Answer {
    /// The request failed, at least in part, and is retried as long as it exists. Never in a file of its own.
    Failed(String),
    /// The request was executed for this number of deliveries.
    Done(u64),
    /// The request may have been written by another version.
    NotUnderstood,
}

impl Answer {
    const NOT_UNDERSTOOD: &str = "not understood";

    fn print(&self) -> String {
        match self {
            Self::Done(deliveries) => format!("{deliveries}\n"),
            Self::NotUnderstood => format!("{}\n", Self::NOT_UNDERSTOOD),
            Self::Failed(error) => format!("{FAILED}{error}\n"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            Self::NOT_UNDERSTOOD => Some(Self::NotUnderstood),
            number => number.parse().ok().map(Self::Done),
        }
    }
}

/// The polling interval for the answer.
const PAUSE: Duration = Duration::from_millis(50);

/// The start of the line that the archive appends to a request that failed. It requires no new file, and on a full disk
/// only the rest of the last block.
const FAILED: &str = "failed ";

/// The maximum number of characters of an error in a request.
const LONGEST_ERROR: usize = 1000;

/// Leaves a request, and waits up to `patience` for the answer. Returns the number of affected deliveries, or `None` on
/// timeout; the request then stays, and is executed later. A failed request is withdrawn. A request with more than
/// [`MAX_IDS`] ids is split into several.
pub(in crate::archive::disk) fn ask(
    fs: &dyn FileSystem,
    dir: &Path,
    wanted: Request,
    patience: Duration,
) -> Result<Option<u64>, Failure> {
    let start = Instant::now();
    fs.check_user(dir).map_err(Failure::to("write to", dir))?;
    let leave = |request: &Request| {
        let path = dir.join(format!("{}{REQUEST}", DeliveryId::new()));
        let text = request.print();
        // The length of the text, not of the file: the archive may have appended an error before the length is read.
        replace(fs, dir, &path, text.as_bytes()).map(|()| (path, text.len() as u64))
    };
    let mut requests = wanted.split(MAX_IDS).iter().map(leave).collect::<Result<Vec<_>, _>>()?;
    let mut done = 0;
    while let Some((request, length)) = requests.first() {
        match wait_for_answer(fs, dir, request, *length, patience.saturating_sub(start.elapsed()))?
        {
            Some(Answer::Done(deliveries)) => done += deliveries,
            Some(Answer::NotUnderstood) => return Err(not_understood(request)),
            Some(Answer::Failed(error)) => {
                let failure = failed(request, &error);
                for (request, _) in &requests {
                    remove(fs, dir, request)?;
                }
                return Err(failure);
            }
            None => return Ok(None),
        }
        requests.remove(0);
    }
    Ok(Some(done))
}

/// Waits for the answer to a request of this length, and removes the answer file.
fn wait_for_answer(
    fs: &dyn FileSystem,
    dir: &Path,
    request: &Path,
    length: u64,
    patience: Duration,
) -> Result<Option<Answer>, Failure> {
    let (answer, start) = (answer_path(request), Instant::now());
    loop {
        if let Some(found) = read(fs, &answer)?.and_then(|text| Answer::parse(&text)) {
            remove(fs, dir, &answer)?;
            return Ok(Some(found));
        }
        if let Some(error) = failure_behind(fs, request, length) {
            return Ok(Some(Answer::Failed(error)));
        }
        if start.elapsed() >= patience {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

/// Returns the error that the archive has appended to a request of this length.
fn failure_behind(fs: &dyn FileSystem, request: &Path, length: u64) -> Option<String> {
    let file = fs.open_read(request).ok()?;
    let behind = usize::try_from(file.len().ok()?.checked_sub(length)?).ok()?;
    let mut text = vec![0; behind.min(MAX_LENGTH)];
    let read = read_full(&*file, &mut text, length).ok()?;
    text.truncate(read);
    match String::from_utf8_lossy(&text).strip_prefix(FAILED) {
        Some(error) => error.strip_suffix('\n').map(str::to_owned),
        // There was no room for the error text.
        None => text.contains(&0).then(|| "the log of that process says why".to_owned()),
    }
}

/// Appends the reason for a failure to a request. The request stays, and is retried.
pub(in crate::archive::disk) fn report_failure(
    fs: &dyn FileSystem,
    request: &Path,
    error: &ArchiveError,
) -> Result<(), Failure> {
    let file = fs.open_append(request).map_err(Failure::to("open", request))?;
    let length = file.len().map_err(Failure::to("read", request))?;
    let line = format!("{FAILED}{}\n", on_one_line(error));
    let written = write_all(&*file, &mut [io::IoSlice::new(line.as_bytes())]);
    // A hole in the file takes no disk space.
    let written = written.or_else(|_| file.set_len(length).and(file.set_len(length + 1)));
    written.map_err(Failure::to("write", request))
}

/// Formats an error and its sources on one line.
fn on_one_line(error: &ArchiveError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text.chars()
        .take(LONGEST_ERROR)
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

fn failed(request: &Path, error: &str) -> Failure {
    let reason = format!("the process that has the archive open failed: {error}");
    Failure::to("do what is asked in", request)(io::Error::other(reason))
}

fn not_understood(request: &Path) -> Failure {
    let reason = "the process that has the archive open does not understand it: \
                  use the command of the same version";
    Failure::to("do what is asked in", request)(io::Error::new(io::ErrorKind::Unsupported, reason))
}

/// How long after its request an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The request files in a directory.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct ControlRequests {
    /// The requests, in the order in which they were made.
    pub(in crate::archive::disk) requests: Vec<PathBuf>,
    /// Answers that were not collected, and unfinished files.
    pub(in crate::archive::disk) untaken: Vec<PathBuf>,
}

/// Lists the request files in a directory.
pub(in crate::archive::disk) fn control_requests(
    fs: &dyn FileSystem,
    dir: &Path,
    now: SystemTime,
) -> Result<ControlRequests, Failure> {
    let names = fs.list(dir).map_err(Failure::to("list", dir))?;
    let mut control_requests = ControlRequests::default();
    for name in names.iter().filter_map(|name| name.to_str()) {
        let Some((id, ending)) = name.split_at_checked(name.find('.').unwrap_or(name.len())) else {
            continue;
        };
        let Ok(id) = id.parse::<DeliveryId>() else { continue };
        match ending {
            REQUEST => control_requests.requests.push(dir.join(name)),
            ANSWER | ".answer.tmp" | ".request.tmp" if is_old(id, now) => {
                control_requests.untaken.push(dir.join(name));
            }
            _ => {}
        }
    }
    control_requests.requests.sort_unstable();
    Ok(control_requests)
}

fn is_old(request: DeliveryId, now: SystemTime) -> bool {
    let age = request.made_at().and_then(|made_at| now.duration_since(made_at).ok());
    age.is_some_and(|age| age >= KEPT)
}

/// Reads a request; the answer if it is not understood, `None` if the request no longer exists.
pub(in crate::archive::disk) fn read_request(
    fs: &dyn FileSystem,
    request: &Path,
) -> Result<Option<Result<Request, Answer>>, Failure> {
    let text = read(fs, request)?;
    Ok(text.map(|text| Request::parse(without_failures(&text)).ok_or(Answer::NotUnderstood)))
}

/// Returns the text of a request without appended errors.
fn without_failures(text: &str) -> &str {
    let end = text.find(&format!("\n{FAILED}")).map_or(text.len(), |end| end + 1);
    text.get(..end).unwrap_or(text).trim_end_matches('\0')
}

/// Answers a request, and removes it.
pub(in crate::archive::disk) fn answer(
    fs: &dyn FileSystem,
    dir: &Path,
    request: &Path,
    answer: &Answer,
) -> Result<(), Failure> {
    replace(fs, dir, &answer_path(request), answer.print().as_bytes())?;
    remove(fs, dir, request)
}

fn answer_path(request: &Path) -> PathBuf {
    request.with_extension(ANSWER.trim_start_matches('.'))
}

fn read(fs: &dyn FileSystem, path: &Path) -> Result<Option<String>, Failure> {
    let file = match fs.open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Failure::to("open", path))?,
    };
    let length = file.len().map_err(Failure::to("read", path))?;
    // A longer text is truncated, and then not understood.
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(MAX_LENGTH).min(MAX_LENGTH)];
    let read = read_full(&*file, &mut bytes, 0).map_err(Failure::to("read", path))?;
    bytes.truncate(read);
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::fs::real_disk::RealDisk;

    #[test]
    fn unknown_request_is_answered_as_not_understood() {
        let dir = tempfile::tempdir().unwrap();
        let query = Request::Remove(Query::all().settled());
        let error = thread::scope(|scope| {
            let asked = scope.spawn(|| ask(&RealDisk, dir.path(), query, Duration::from_secs(60)));
            let request = loop {
                let control_requests =
                    control_requests(&RealDisk, dir.path(), SystemTime::now()).unwrap();
                if let Some(request) = control_requests.requests.into_iter().next() {
                    break request;
                }
                thread::sleep(PAUSE);
            };
            answer(&RealDisk, dir.path(), &request, &Answer::NotUnderstood).unwrap();
            asked.join().unwrap().unwrap_err()
        });
        assert!(error.to_string().starts_with("cannot do what is asked in "), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn error_that_is_appended_before_the_first_look_is_the_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("request");
        let text = Request::Retry(Query::all()).print();
        std::fs::write(&path, &text).unwrap();
        let error = Failure::to("write", Path::new("a"))(io::ErrorKind::StorageFull.into());
        report_failure(&RealDisk, &path, &error.error()).unwrap();
        let length = text.len() as u64;
        let answer = wait_for_answer(&RealDisk, dir.path(), &path, length, Duration::ZERO).unwrap();
        assert!(matches!(answer, Some(Answer::Failed(_))));
    }

    #[test]
    fn request_that_failed_still_reads_back_and_its_error_is_on_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("request");
        let error = Failure::to("write", Path::new("a\nb"))(io::ErrorKind::StorageFull.into());
        for query in [Query::all(), Query::all().model("/failed".parse().unwrap())] {
            let text = Request::Retry(query.clone()).print();
            std::fs::write(&path, &text).unwrap();
            for _ in 0..2 {
                report_failure(&RealDisk, &path, &error.error()).unwrap();
                let Ok(Request::Retry(read)) = read_request(&RealDisk, &path).unwrap().unwrap()
                else {
                    panic!("not understood");
                };
                assert_eq!(read, query);
            }
            let length = text.len() as u64;
            let failures = failure_behind(&RealDisk, &path, length).unwrap();
            assert!(failures.starts_with("cannot write a b: no storage space"), "{failures}");
            std::fs::write(&path, format!("{text}\0")).unwrap();
            assert!(read_request(&RealDisk, &path).unwrap().unwrap().is_ok());
            let failure = failure_behind(&RealDisk, &path, length);
            assert_eq!(failure.as_deref(), Some("the log of that process says why"));
            std::fs::write(&path, format!("{text}failed unfini")).unwrap();
            assert_eq!(failure_behind(&RealDisk, &path, length), None);
        }
    }

    #[test]
    fn request_with_the_most_ids_reads_back_and_a_longer_one_is_split() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("request");
        let ids: Vec<_> = (0..=2 * MAX_IDS).map(|_| DeliveryId::new()).collect();
        let parts = Request::Remove(Query::all().ids(ids.clone()).settled()).split(MAX_IDS);
        let mut read_back = Vec::new();
        for part in &parts {
            std::fs::write(&path, part.print()).unwrap();
            let Ok(Request::Remove(query)) = read_request(&RealDisk, &path).unwrap().unwrap()
            else {
                panic!("not understood");
            };
            assert_eq!(query, Query::all().ids(query.selected_ids().unwrap().to_vec()).settled());
            read_back.extend_from_slice(query.selected_ids().unwrap());
        }
        assert_eq!(parts.len(), 3);
        assert_eq!(read_back, Query::all().ids(ids).selected_ids().unwrap());
        std::fs::write(&path, vec![b'x'; 2 * MAX_LENGTH]).unwrap();
        assert!(read_request(&RealDisk, &path).unwrap().unwrap().is_err(), "it is far too long");
    }

    #[test]
    fn requests_read_back_and_a_torn_one_is_nothing() {
        let query = Query::all().settled();
        let retry = Request::Retry(query.clone()).print();
        assert!(matches!(Request::parse(&retry), Some(Request::Retry(_))));
        let remove = Request::Remove(query).print();
        assert!(matches!(Request::parse(&remove), Some(Request::Remove(_))));
        for end in 0..retry.len() {
            assert!(Request::parse(&retry[..end]).is_none(), "it ends at {end}");
        }
    }
}
