use std::{path::PathBuf, time::Duration};

use lexopt::{Arg::Long, ValueExt};

use super::rounds::Bench;
use crate::support::list::list;

const HELP: &str = "\
Whole servers over loopback HTTP, side by side in alternating rounds.

  --sizes 8,32          sizes of bodies, in KiB
  --connections 64      how many connections, each with one request at a time
  --servers A,B         only these, and the bare one
  --rounds 5            how many rounds; what is printed are medians
  --mebibytes 32        how many bytes of bodies each server gets in a round
  --sync-delay-us 0     how much longer each sync takes
  --dir DIR             where to write
  --memory              only this: what a server takes of memory
  --smoke               a run of a second, to see that it works";

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) sizes: Vec<usize>,
    pub(crate) connections: usize,
    pub(crate) servers: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) bytes: usize,
    pub(crate) sync_delay: Duration,
    pub(crate) dir: PathBuf,
    pub(crate) memory: bool,
    /// This process is the server whose memory is measured.
    pub(crate) memory_server: bool,
}

impl Options {
    pub(crate) fn parse(bench: &Bench) -> Result<Self, lexopt::Error> {
        let mut options = Self::of(bench);
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("sizes") => options.sizes = list(&arguments.value()?.string()?)?,
                Long("connections") => options.connections = arguments.value()?.parse()?,
                Long("servers") => options.servers = list(&arguments.value()?.string()?)?,
                Long("rounds") => options.rounds = arguments.value()?.parse()?,
                Long("mebibytes") => options.bytes = arguments.value()?.parse::<usize>()? << 20,
                Long("sync-delay-us") => {
                    options.sync_delay = Duration::from_micros(arguments.value()?.parse()?);
                }
                Long("dir") => options.dir = arguments.value()?.into(),
                Long("memory") => options.memory = true,
                Long("memory-server") => options.memory_server = true,
                Long("smoke") => {
                    options = Self { sizes: vec![8], rounds: 1, bytes: 1 << 20, ..options };
                }
                // What cargo adds.
                Long("bench") => {}
                Long("help") => {
                    println!("{HELP}");
                    std::process::exit(0);
                }
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }
}

impl Options {
    fn of(bench: &Bench) -> Self {
        let servers = bench.servers.iter().skip(1).map(|(name, _)| (*name).to_owned());
        Self {
            sizes: vec![8, 32],
            connections: 64,
            servers: servers.collect(),
            rounds: 5,
            bytes: 32 << 20,
            sync_delay: Duration::ZERO,
            dir: env!("CARGO_TARGET_TMPDIR").into(),
            memory: false,
            memory_server: false,
        }
    }
}
