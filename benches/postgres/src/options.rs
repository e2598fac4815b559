use std::time::Duration;

use lexopt::{Arg::Long, ValueExt};

use crate::{load::Content, support::list::list};

const HELP: &str = "\
The archive on PostgreSQL, a hand-written handler, and a job queue, in alternating rounds. Starts a server of its own.

  --sizes 2,24,223      sizes of bodies, in KB
  --in-flight 1,16,64   numbers of appends in flight
  --random              bodies that cannot be compressed, instead of words with coordinates
  --only-appends        measures appends only
  --rounds 5            number of rounds; the printed ratios are medians over the rounds
  --millis 1000         duration of a round of one candidate
  --connections N       connections of the archive. Default: those of the archive
  --prepared            the archive prepares its statements
  --batch-kb N          most bytes of a batch of the archive. Default: that of the archive
  --set NAME=VALUE      a setting of the server, such as shared_buffers=1GB. Repeatable
  --flush-micros N      each flush of the log waits that long first, as on a network volume. Default: 0
  --pool 16             connections of the hand-written handler, and of the job queue
  --held-seconds 20     how long an old snapshot is held open; 0: not at all
  --idle-seconds 10     how long the statements of an idle node are counted; 0: not at all
  --deliveries N        compares claims and repeats with N deliveries in the ledger to those with 10,000
  --quick               a run of about a minute
  --dir DIR             where the data of the server is written. Default: the directory for temporary files";

pub(crate) struct Options {
    pub(crate) sizes: Vec<usize>,
    pub(crate) in_flight: Vec<usize>,
    pub(crate) content: Content,
    pub(crate) only_appends: bool,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) connections: Option<usize>,
    pub(crate) prepared: bool,
    pub(crate) batch_kb: Option<usize>,
    /// Lines of the configuration of the server.
    pub(crate) settings: String,
    pub(crate) flush_micros: u32,
    pub(crate) pool: usize,
    pub(crate) held: Duration,
    pub(crate) idle: Duration,
    pub(crate) deliveries: Option<usize>,
    pub(crate) dir: std::path::PathBuf,
}

impl Options {
    pub(crate) fn parse() -> Result<Self, lexopt::Error> {
        let mut options = Self {
            sizes: vec![2, 24, 223],
            in_flight: vec![1, 16, 64],
            content: Content::Words,
            only_appends: false,
            rounds: 5,
            time: Duration::from_secs(1),
            connections: None,
            prepared: false,
            batch_kb: None,
            settings: String::new(),
            flush_micros: 0,
            pool: 16,
            held: Duration::from_secs(20),
            idle: Duration::from_secs(10),
            deliveries: None,
            dir: std::env::temp_dir(),
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("sizes") => options.sizes = list(&arguments.value()?.string()?)?,
                Long("in-flight") => options.in_flight = list(&arguments.value()?.string()?)?,
                Long("random") => options.content = Content::Random,
                Long("only-appends") => options.only_appends = true,
                Long("rounds") => options.rounds = arguments.value()?.parse()?,
                Long("millis") => options.time = Duration::from_millis(arguments.value()?.parse()?),
                Long("connections") => options.connections = Some(arguments.value()?.parse()?),
                Long("prepared") => options.prepared = true,
                Long("batch-kb") => options.batch_kb = Some(arguments.value()?.parse()?),
                Long("set") => {
                    options.settings.push_str(&arguments.value()?.string()?);
                    options.settings.push('\n');
                }
                Long("flush-micros") => options.flush_micros = arguments.value()?.parse()?,
                Long("pool") => options.pool = arguments.value()?.parse()?,
                Long("held-seconds") => {
                    options.held = Duration::from_secs(arguments.value()?.parse()?);
                }
                Long("idle-seconds") => {
                    options.idle = Duration::from_secs(arguments.value()?.parse()?);
                }
                Long("deliveries") => options.deliveries = Some(arguments.value()?.parse()?),
                Long("dir") => options.dir = arguments.value()?.into(),
                Long("quick") => {
                    (options.rounds, options.time) = (3, Duration::from_millis(300));
                    (options.held, options.idle) = (Duration::from_secs(5), Duration::from_secs(5));
                }
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
