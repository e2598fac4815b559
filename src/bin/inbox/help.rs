/// The commands, and the options that each has besides those of all.
pub(crate) const COMMANDS: [(&str, &[&str], &str); 12] = [
    ("list", &["model", "outcome", "pending", "settled", "since", "before", "json"], LIST),
    ("show", &["body", "json"], SHOW),
    ("verify", &["json"], VERIFY),
    ("stats", &["json"], STATS),
    ("purge", &["before", "keep", "model", "unsettled-too", "dry-run"], PURGE),
    ("erase", &["dry-run"], ERASE),
    (
        "export",
        &["model", "outcome", "pending", "settled", "since", "before", "into", "dry-run"],
        EXPORT,
    ),
    ("dead", &["model", "outcome", "since", "before", "json"], DEAD),
    ("retry", &["model", "outcome", "since", "before", "all", "dry-run"], RETRY),
    (
        "replay",
        &[
            "to",
            "model",
            "outcome",
            "pending",
            "settled",
            "since",
            "before",
            "header",
            "query",
            "as",
            "secret",
            "token-name",
            "concurrency",
            "rate",
            "dry-run",
        ],
        REPLAY,
    ),
    ("send", &["as", "secret", "token-name", "repeat", "concurrency", "rate"], SEND),
    ("model", &["name"], MODEL),
];

/// How many words a command takes that are no ids of deliveries.
pub(crate) fn operands(command: &str) -> usize {
    match command {
        "send" => 2,
        "model" => 1,
        _ => 0,
    }
}

const ALL: &str = "\
Looks after the archive of an inbox. `purge`, `erase` and `retry` have a server that writes to the
archive do it; the others only read it, also while a server writes.

  inbox list            what is in the archive, oldest first
  inbox show ID         one delivery; --body writes its exact bytes
  inbox verify          read everything, check every checksum and digest
  inbox stats           how much there is, of what
  inbox purge --keep A  remove what is settled and older
  inbox erase ID        remove one delivery
  inbox export          write a selection as one WARC file
  inbox dead            what its handler would not take, or could not be loaded, and why
  inbox retry ID        have a dead delivery handled again; or many
  inbox replay --to URL post what is archived to another server
  inbox send URL FILE   sign a payload as a provider does, and post it, once or often
  inbox model FILE      write the Rust struct for a sample of a model of your own at Mindee
  inbox help COMMAND    more about one of them

  --archive DIR         the directory of the archive (INBOX_ARCHIVE, else ./inbox)
  --version

Exit status: 0 if all is well, 1 if what was asked for is not there, is damaged or is refused, 2 if
it could not be done.";

const SELECTION: &str = "\
  --model NAME      only those for this model
  --outcome WORD    only those that are pending, processed, failed, dead, undecodable or repeat
  --pending         only those that wait for their handler, or whose handler is at work
  --settled         only those that will not be tried again
  --since TIME      only those received then or later
  --before TIME     only those received before
  --archive DIR     the directory of the archive (INBOX_ARCHIVE, else ./inbox)

TIME is 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 90m, 12h, 30d.";

/// Of those of which only some outcomes are looked at.
const NARROWER: &str = "\
  --model NAME      only those for this model
  --since TIME      only those received then or later
  --before TIME     only those received before
  --archive DIR     the directory of the archive (INBOX_ARCHIVE, else ./inbox)

TIME is 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 90m, 12h, 30d.";

const LIST: &str = "\
inbox list [--model NAME] [--outcome WORD] [--since TIME] [--before TIME] [--json]

Lists deliveries in the order in which they were archived: id, time, bytes, model, outcome.

  --json            one JSON object a line instead of a table";

const SHOW: &str = "\
inbox show ID [--body | --json]

Shows one delivery: its head, and what became of it.

  --body            write the exact bytes of its body, and nothing else
  --json            one JSON object
  --archive DIR     the directory of the archive (INBOX_ARCHIVE, else ./inbox)";

const VERIFY: &str = "\
inbox verify [--json]

Reads the whole archive and checks every checksum and every digest. Says what is damaged, and ends
with status 1 if anything is.

  --json            the result as one JSON object
  --archive DIR     the directory of the archive (INBOX_ARCHIVE, else ./inbox)";

const STATS: &str = "\
inbox stats [--json]

Counts deliveries, outcomes, models, segments and bytes.

  --json            one JSON object
  --archive DIR     the directory of the archive (INBOX_ARCHIVE, else ./inbox)";

const PURGE: &str = "\
inbox purge (--keep AGE | --before TIME) [--model NAME] [--unsettled-too] [--dry-run]

Removes heads and bodies of settled deliveries that are older. Their ids, digests and outcomes stay,
so that a repeat is still known as one. On return they are gone for good.

  --keep AGE        remove what is older than this: 12h, 30d
  --before TIME     remove what was received before: 2026-01-31, 2026-01-31T12:00:00Z
  --model NAME      only those for this model
  --unsettled-too   also those that are pending or failed; they will not be handled any more
  --dry-run         only say how many that would be
  --archive DIR     the directory of the archive (INBOX_ARCHIVE, else ./inbox)";

const ERASE: &str = "\
inbox erase ID [--dry-run]

Removes head and body of one delivery, settled or not. Its id, digest and outcome stay. On return it
is gone for good.

  --dry-run         only say whether it is there
  --archive DIR     the directory of the archive (INBOX_ARCHIVE, else ./inbox)";

const EXPORT: &str = "\
inbox export [--into FILE] [--model NAME] [--outcome WORD] [--since TIME] [--before TIME]

Writes deliveries and their outcomes as one WARC file. What cannot be read is left out and told, and
the status is 1.

  --into FILE       the file to write, which must not be there; else to the standard output
  --dry-run         only say how many that would be";

const DEAD: &str = "\
inbox dead [--model NAME] [--outcome WORD] [--since TIME] [--before TIME] [--json]

Lists the deliveries that are not tried again: dead, and undecodable; with the reason.

  --json            one JSON object a line
  --outcome WORD    only those that are dead, or undecodable";

const RETRY: &str = "\
inbox retry (ID... | --all | [--model NAME] [--outcome WORD] [--since TIME] [--before TIME]) [--dry-run]

Has deliveries handled again, from the first attempt on, that are dead, undecodable or failed. A
server that runs takes them up within seconds, another one when it starts.

  --all             all of them
  --outcome WORD    only those that are dead, undecodable or failed
  --dry-run         only say which they are";

const REPLAY: &str = "\
inbox replay --to URL [ID] [selection] [--as NAME --secret S] [--rate N] [--concurrency N] [--dry-run]

Posts archived deliveries to another server, such as that of a developer, in the order of the archive
with their own methods, paths, queries, headers and exact bytes. Nothing in the archive changes. Each
says what it is: inbox-replay has its id, inbox-received-at the time at which it was received.

Tokens and passwords are never archived: REDACTED stands where they were. Signatures are archived as
they came, and those with a time in them are too old by now. So the other server has to take them
unsigned, or this command puts in what it wants to see:

  --to URL          the server: http://127.0.0.1:3000, or with a path that goes before theirs
  --header 'N: V'   put this header in, in the place of one that is there; may be repeated
  --query N=V       put this parameter in, in the place of one that is there; may be repeated
  --as NAME         sign anew, as `inbox send` does, with
  --secret S        this secret or token (or INBOX_SECRET), and --token-name where you chose one
  --rate N          at most so many a second
  --concurrency N   so many at a time (1, which keeps the order)
  --dry-run         only say what would be posted

Prints how often which status came. Ends with status 1 if an answer is not 2xx.
";

const SEND: &str = "\
inbox send URL --as NAME --secret S [--repeat N] [--concurrency N] [--rate N] FILE

Signs the exact bytes of FILE (`-`: the standard input) as a provider does, and posts them. Prints
status and body of the answer; with --repeat how often which status came, and how long it took.
Ends with status 1 if an answer is not 2xx. Nothing else is asked, no redirect is followed.

  --as NAME         one of these
                      signed    baseten, bfl, elevenlabs, extend, gemini, llamacloud, mindee,
                                mindee-v1, openai, reducto, replicate, rossum, standard, vlmrun
                      a header  assemblyai, deepgram, huggingface
                      a query   deepinfra, foxyai, gladia, runpod
                      a key     fal (with feature ed25519)
  --secret S        the signing secret, the token, or the private key in hexadecimal or base64 behind
                    whsk_ (or INBOX_SECRET, which no list of processes shows)
  --token-name NAME the header or query parameter of a token, where you chose another
  --repeat N        post so many times, each with a signature of its own; the bytes are the same,
                    so that an inbox handles one and answers the others as repeats
  --concurrency N   with --repeat: so many at a time (1)
  --rate N          with --repeat: at most so many a second

An answer is waited for 30 seconds. The URL is one with http://";

const MODEL: &str = "\
inbox model [--name NAME] FILE

Writes a Rust struct for the fields of a model of your own at Mindee. FILE (`-`: the standard input)
is a whole payload as Mindee posts it, the fuller the better: a field that is null or a list that is
empty does not tell its type, and says so in a comment.

  --name NAME       the name of the struct (Extracted)";

/// The help of a command; of all without one, or where there is no such.
pub(crate) fn of(command: &str) -> String {
    let known = COMMANDS.iter().find(|(name, ..)| *name == command);
    let help = known.map_or(ALL, |(.., help)| help);
    match command {
        "list" | "export" | "replay" => format!("{help}\n{SELECTION}"),
        "dead" | "retry" => format!("{help}\n{NARROWER}"),
        _ => help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_the_options_that_a_command_takes_and_no_others() {
        for (command, options, _) in COMMANDS {
            let help = of(command);
            let described = help.lines().filter_map(|line| line.strip_prefix("  --"));
            let described: Vec<_> = described.filter_map(|line| line.split(' ').next()).collect();
            for option in options {
                assert!(help.contains(&format!("--{option}")), "{command} --{option}");
            }
            for option in described {
                assert!(option == "archive" || options.contains(&option), "{command} --{option}");
            }
        }
    }
}
