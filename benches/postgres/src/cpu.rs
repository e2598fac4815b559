//! The processor time of this process and of the server, from `/proc`.

use std::fs;

/// In ticks of the clock, usually a hundredth of a second.
#[derive(Clone, Copy)]
pub(crate) struct CpuTime(u64);

impl CpuTime {
    /// Of this process, and of the process `postmaster` with its children, also those that have ended.
    pub(crate) fn now(postmaster: u32) -> Self {
        let own = process("self").map_or(0, |process| process.own);
        let server = process(&postmaster.to_string());
        let server = server.map_or(0, |process| process.own + process.ended_children);
        let children = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let child = process(entry.ok()?.file_name().to_str()?)?;
            (child.parent == postmaster).then_some(child.own)
        });
        Self(own + server + children.sum::<u64>())
    }

    /// The ticks since then, for each delivery.
    pub(crate) fn since(self, postmaster: u32, deliveries: usize) -> f64 {
        (Self::now(postmaster).0 - self.0) as f64 / deliveries.max(1) as f64
    }
}

struct Process {
    parent: u32,
    own: u64,
    ended_children: u64,
}

/// Reads the fields of `proc_pid_stat(5)` after the name of the program.
fn process(id: &str) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(11)? + ticks(12)?,
        ended_children: ticks(13)? + ticks(14)?,
    })
}
