//! How another process has something removed from an archive that is open for writing: it leaves a file, and the
//! archive does what it says and leaves the answer. Whoever may write to the directory could delete the files as well.

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

/// How often the answer is looked for.
const PAUSE: Duration = Duration::from_millis(50);

/// Leaves a request, and waits so long for the answer: how many deliveries were removed. The request stays where there
/// is none.
pub(super) fn ask(
    medium: &dyn Medium,
    dir: &Path,
    query: &Query,
    patience: Duration,
) -> Result<Option<u64>, Failure> {
    let request = dir.join(format!("{}{REQUEST}", DeliveryId::new()));
    let answer = answer_path(&request);
    replace(medium, dir, &request, print_query(query).as_bytes())?;
    let start = Instant::now();
    loop {
        if let Some(removed) = read(medium, &answer)?.and_then(|text| text.trim().parse().ok()) {
            remove(medium, dir, &answer)?;
            return Ok(Some(removed));
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

/// What a request selects; `None` if it is not understood.
pub(super) fn query_in(medium: &dyn Medium, request: &Path) -> Result<Option<Query>, Failure> {
    Ok(read(medium, request)?.and_then(|text| parse_query(&text)))
}

/// Answers a request, and takes it away.
pub(super) fn answer(
    medium: &dyn Medium,
    dir: &Path,
    request: &Path,
    removed: u64,
) -> Result<(), Failure> {
    replace(medium, dir, &answer_path(request), format!("{removed}\n").as_bytes())?;
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
