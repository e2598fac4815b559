use std::{path::PathBuf, time::Duration};

use lexopt::{Arg::Long, ValueExt};

use crate::support::list::list;

const HELP: &str = "\
Durable appends of several engines, side by side in alternating rounds.

  --sizes 8,32,256        sizes of bodies, in KiB
  --in-flight 1,16,64,256 how many appends are in flight
  --engines A,B           only these, and the limit: lockstep inbox inbox+sha file-each sqlite
  --rounds 5              how many rounds; what is printed are medians
  --millis 250            how long a round of one engine takes at most
  --mebibytes 192         how many bytes it writes at most
  --sync-delay-us 0       how much longer each sync takes
  --shared-syncs          those that wait for a sync share the next one, instead of one each
  --dir DIR               where to write; default: the current directory
  --smoke                 a run of a second, to see that it works";

pub(crate) struct Options {
    pub(crate) sizes: Vec<usize>,
    pub(crate) in_flight: Vec<usize>,
    pub(crate) engines: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) bytes: usize,
    pub(crate) sync_delay: Duration,
    pub(crate) shared_syncs: bool,
    pub(crate) dir: PathBuf,
}

impl Options {
    pub(crate) fn parse() -> Result<Self, lexopt::Error> {
        let mut options = Self::default();
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("sizes") => options.sizes = list(&arguments.value()?.string()?)?,
                Long("in-flight") => options.in_flight = list(&arguments.value()?.string()?)?,
                Long("engines") => options.engines = list(&arguments.value()?.string()?)?,
                Long("rounds") => options.rounds = arguments.value()?.parse()?,
                Long("millis") => {
                    options.time = Duration::from_millis(arguments.value()?.parse()?);
                }
                Long("mebibytes") => options.bytes = arguments.value()?.parse::<usize>()? << 20,
                Long("sync-delay-us") => {
                    options.sync_delay = Duration::from_micros(arguments.value()?.parse()?);
                }
                Long("shared-syncs") => options.shared_syncs = true,
                Long("dir") => options.dir = arguments.value()?.into(),
                Long("smoke") => options = options.smoke(),
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

    fn smoke(self) -> Self {
        Self {
            sizes: vec![8],
            in_flight: vec![16],
            rounds: 1,
            time: Duration::from_millis(50),
            bytes: 8 << 20,
            ..self
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        let engines = ["lockstep", "inbox", "inbox+sha", "file-each", "sqlite"];
        Self {
            sizes: vec![8, 32, 256],
            in_flight: vec![1, 16, 64, 256],
            engines: engines.map(str::to_owned).to_vec(),
            rounds: 5,
            time: Duration::from_millis(250),
            bytes: 192 << 20,
            sync_delay: Duration::ZERO,
            shared_syncs: false,
            dir: ".".into(),
        }
    }
}
