use std::{fs, io};

/// How long the threads of this process that are alive have been at work, in microseconds, those of a runtime with
/// this thread name left out. On a busy machine it tells more than a clock does. Nothing where the system does not tell.
pub(crate) fn micros(without: &str) -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    let nanos = |task: io::Result<fs::DirEntry>| -> Option<f64> {
        let task = task.ok()?.path();
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let worked = fs::read_to_string(task.join("schedstat")).ok()?;
        let nanos = worked.split(' ').next()?.parse().ok()?;
        (name.trim() != without).then_some(nanos)
    };
    tasks.filter_map(nanos).sum::<f64>() / 1e3
}
