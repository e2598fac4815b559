//! How another process has something done to an archive that is open for writing: it leaves a file, and the archive
//! does what it says and leaves the answer. Whoever may write to the directory could delete the files as well.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    failure::Failure,
    file_io::read_full,
    medium::Medium,
    replace::{remove, replace},
};
use crate::{
    archive::{Query, parse_query, print_query},
    delivery::DeliveryId,
};

const REQUEST: &str = ".request";
const ANSWER: &str = ".answer";

/// The first line of a request to retry. One to remove has none: it is older.
const RETRY: &str = "retry\n";

/// What another process wants to have done.
#[derive(Debug)]
pub(super) enum Request {
    /// What is selected loses head and body.
    Remove(Query),
    /// What is selected of what was not taken is handled again.
    Retry(Query),
}

impl Request {
    fn print(&self) -> String {
        match self {
            Self::Remove(query) => print_query(query),
            Self::Retry(query) => format!("{RETRY}{}", print_query(query)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(RETRY) {
            Some(query) => parse_query(query).map(Self::Retry),
            None => parse_query(text).map(Self::Remove),
        }
    }
}

/// How often the answer is looked for.
const PAUSE: Duration = Duration::from_millis(50);

/// Leaves a request, and waits so long for the answer: of how many deliveries it was done. The request stays where there
/// is none.
pub(super) fn ask(
    medium: &dyn Medium,
    dir: &Path,
    wanted: &Request,
    patience: Duration,
) -> Result<Option<u64>, Failure> {
    let request = dir.join(format!("{}{REQUEST}", DeliveryId::new()));
    let answer = answer_path(&request);
    replace(medium, dir, &request, wanted.print().as_bytes())?;
    let start = Instant::now();
    loop {
        if let Some(done) = read(medium, &answer)?.and_then(|text| text.trim().parse().ok()) {
            remove(medium, dir, &answer)?;
            return Ok(Some(done));
        }
        if start.elapsed() >= patience {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

/// The requests in a directory, in the order in which they were made.
pub(super) fn requests(medium: &dyn Medium, dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut names = medium.list(dir).map_err(Failure::to("list", dir))?;
    names.retain(is_request);
    names.sort_unstable();
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

fn is_request(name: &OsString) -> bool {
    let stem = name.to_str().and_then(|name| name.strip_suffix(REQUEST));
    stem.is_some_and(|stem| stem.parse::<DeliveryId>().is_ok())
}

/// What is wanted; `None` if it is not understood.
pub(super) fn wanted_in(medium: &dyn Medium, request: &Path) -> Result<Option<Request>, Failure> {
    Ok(read(medium, request)?.and_then(|text| Request::parse(&text)))
}

/// Answers a request, and takes it away.
pub(super) fn answer(
    medium: &dyn Medium,
    dir: &Path,
    request: &Path,
    done: u64,
) -> Result<(), Failure> {
    replace(medium, dir, &answer_path(request), format!("{done}\n").as_bytes())?;
    remove(medium, dir, request)
}

fn answer_path(request: &Path) -> PathBuf {
    request.with_extension(ANSWER.trim_start_matches('.'))
}

fn read(medium: &dyn Medium, path: &Path) -> Result<Option<String>, Failure> {
    let file = match medium.open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Failure::to("open", path))?,
    };
    // No request and no answer is nearly as long.
    let mut bytes = vec![0; 4096];
    let read = read_full(&*file, &mut bytes, 0).map_err(Failure::to("read", path))?;
    bytes.truncate(read);
    Ok(String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

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
