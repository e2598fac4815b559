/// The commands, with the options that each has besides those of all commands, and its help.
pub(crate) const COMMANDS: [(&str, &[&str], &str); 14] = [
    (
        "list",
        &["inference", "limit", "model", "state", "pending", "settled", "since", "before", "json"],
        LIST,
    ),
    ("show", &["model", "body", "json"], SHOW),
    ("verify", &["json"], VERIFY),
    ("stats", &["json"], STATS),
    ("purge", &["before", "keep", "model", "dead", "unsettled", "dry-run"], PURGE),
    (
        "erase",
        &["ids", "inference", "model", "state", "pending", "settled", "since", "before", "dry-run"],
        ERASE,
    ),
    ("backup", &[], BACKUP),
    ("restore", &[], RESTORE),
    (
        "export",
        &["model", "state", "pending", "settled", "since", "before", "into", "dry-run"],
        EXPORT,
    ),
    ("dead", &["model", "state", "since", "before", "json"], DEAD),
    ("retry", &["model", "state", "since", "before", "all", "dry-run"], RETRY),
    (
        "replay",
        &[
            "to",
            "model",
            "state",
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

/// How many arguments a command takes that are not parsed as ids of deliveries.
pub(crate) fn operands(command: &str) -> usize {
    match command {
        "send" => 2,
        "backup" | "model" | "restore" | "show" => 1,
        _ => 0,
    }
}

const ALL: &str = "\
Inspects and maintains the archive of an inbox. `purge`, `erase` and `retry` send a request to the
server that has the archive open, if there is one. All other commands only read the archive, also
while a server writes; `restore` creates it.

  inbox list            list the latest deliveries, oldest first
  inbox show ID         show one delivery, by its id or by the provider's; --body writes its body
  inbox verify          read the whole archive and check every checksum and digest
  inbox stats           count deliveries, segments and bytes
  inbox purge --keep A  remove finished deliveries older than an age
  inbox erase ID...     remove these deliveries, whatever their state
  inbox backup TO       copy the archive to a directory, also while a server writes; incremental
  inbox restore FROM    copy a backup to the new directory of an archive
  inbox export          write selected deliveries to one WARC file
  inbox dead            list dead and undecodable deliveries with the reason
  inbox retry ID        process dead, undecodable or failed deliveries again
  inbox replay --to URL post archived deliveries to another server
  inbox send URL FILE   sign a payload as a provider does, and post it
  inbox model FILE      generate a Rust struct from a sample of a custom Mindee model
  inbox help COMMAND    print the help of a command

  --archive DIR         the directory of the archive (default: INBOX_ARCHIVE, else ./inbox)
  --version             print the version

Exit status: 0 on success; 1 if something was not found, is damaged or was rejected; 2 if the
command failed.";

const SELECTION: &str = "\
  --model NAME      only deliveries of this model
  --state STATE     only deliveries in this state: pending, leased, processed, failed, dead,
                    undecodable or repeat
  --pending         only deliveries that are pending or leased
  --settled         only deliveries that are processed, dead, undecodable or a repeat
  --since TIME      only deliveries received at TIME or later
  --before TIME     only deliveries received before TIME
  --archive DIR     the directory of the archive (default: INBOX_ARCHIVE, else ./inbox)

TIME is 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 90m, 12h or 30d.";

/// For commands that only select deliveries in some states.
const SELECTION_WITHOUT_STATE: &str = "\
  --model NAME      only deliveries of this model
  --since TIME      only deliveries received at TIME or later
  --before TIME     only deliveries received before TIME
  --archive DIR     the directory of the archive (default: INBOX_ARCHIVE, else ./inbox)

TIME is 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 90m, 12h or 30d.";

const LIST: &str = "\
inbox list [--limit N] [--inference KEY] [--model NAME] [--state STATE] [--since TIME]
           [--before TIME] [--json]

Lists the latest deliveries in the order in which they were archived: id, time of receipt, bytes,
model, state.

  --limit N         list at most the latest N; 0 lists all (default: 50)
  --json            write one JSON object per line instead of a table
  --inference KEY   only deliveries of this inference: the provider's id, as InferenceKey prints it.
                    A version is ignored. Without --model, all models are searched. A delivery is
                    found once it was processed, failed or dead";

const SHOW: &str = "\
inbox show (ID | KEY) [--model NAME] [--body | --json]

Shows one delivery: its state and its head. KEY is the provider's id of the inference, as
InferenceKey prints it; a version is ignored. Several deliveries of one inference are listed. A
delivery is found by KEY once it was processed, failed or dead.

  --model NAME      only search this model for KEY; default: all models
  --body            write the exact bytes of the body, and nothing else
  --json            write one JSON object per delivery
  --archive DIR     the directory of the archive (default: INBOX_ARCHIVE, else ./inbox)";

const VERIFY: &str = "\
inbox verify [--json]

Reads the whole archive and checks every checksum and digest. Prints each damaged place. The exit
status is 1 if there is one.

  --json            write the result as one JSON object
  --archive DIR     the directory of the archive (default: INBOX_ARCHIVE, else ./inbox)";

const STATS: &str = "\
inbox stats [--json]

Counts deliveries by state and by model, segments, and bytes.

  --json            write one JSON object
  --archive DIR     the directory of the archive (default: INBOX_ARCHIVE, else ./inbox)";

const PURGE: &str = "\
inbox purge (--keep AGE | --before TIME) [--model NAME] [--dead] [--unsettled] [--dry-run]

Removes heads and bodies of old deliveries that are finished: processed, or a repeat. Ids, digests
and states stay, so that repeats are still recognized. When the command ends, the bytes are gone for
good.

  --keep AGE        remove deliveries older than AGE: 12h, 30d
  --before TIME     remove deliveries received before TIME: 2026-01-31, 2026-01-31T12:00:00Z
  --model NAME      only deliveries of this model
  --dead            also remove deliveries that are dead or undecodable
  --unsettled       also remove deliveries that are pending, leased or failed; they are not
                    processed again
  --dry-run         only print how many deliveries would be removed
  --archive DIR     the directory of the archive (default: INBOX_ARCHIVE, else ./inbox)";

const ERASE: &str = "\
inbox erase (ID... | --ids FILE | selection) [--dry-run]

Removes heads and bodies of deliveries in any state. Their ids, digests and states stay. When the
command ends, the bytes are gone for good. Copies of the archive keep them: see `inbox help backup`.

One command for many deliveries is much faster than one command each: it rewrites each segment once.
If ids and other options are given, only deliveries that match all of them are removed. The exit
status is 1 if an ID is not found; the others are removed.

  --ids FILE        remove the deliveries of which FILE (`-`: standard input) lists the ids, one a
                    line
  --inference KEY   only deliveries of this inference, as `inbox list` finds them
  --dry-run         only print how many deliveries would be removed";

const BACKUP: &str = "\
inbox backup TO

Copies the archive to the directory TO, which must be new, empty, or an earlier backup of the same
archive, and verifies the copy. A server may write meanwhile. The backup has every delivery that was
acknowledged before it began. Repeat an interrupted backup.

Only segments that changed since the last backup are copied. What was removed or erased in the
archive disappears from the backup: run `inbox backup` again after `inbox erase`, to each directory
that holds a backup. A segment that is damaged does not replace an earlier copy that is sound.

A plain copy (`cp -a`, rsync) while a server writes can miss a segment, because segments are renamed.

Reads all of TO. All other commands can read a backup: `inbox list --archive TO`. Do not start a
server with it: use `inbox restore`. The exit status is 1 if a part of the archive or of the backup is
damaged.

  --archive DIR     the directory of the archive (default: INBOX_ARCHIVE, else ./inbox)";

const RESTORE: &str = "\
inbox restore FROM

Copies the backup in the directory FROM to the directory of the archive, which must be new or empty,
and verifies the copy. The backup is not changed. Prints what to do next. Run it as the user of the
server. Repeat an interrupted restore.

What was erased after the backup is in the archive again: erase it again. The exit status is 1 if a part
of the archive is damaged, or if the last backup was interrupted.

  --archive DIR     the directory of the archive (default: INBOX_ARCHIVE, else ./inbox)";

const EXPORT: &str = "\
inbox export [--into FILE] [--model NAME] [--state STATE] [--since TIME] [--before TIME]

Writes deliveries and their states to one WARC file. Deliveries that cannot be read are reported and
left out, and the exit status is 1.

  --into FILE       the file to create, which must not exist; default: standard output
  --dry-run         only print how many deliveries would be exported";

const DEAD: &str = "\
inbox dead [--model NAME] [--state STATE] [--since TIME] [--before TIME] [--json]

Lists deliveries that are dead or undecodable: id, time of receipt, model, inference (`-` if
unknown), state and reason. A delivery that crashed the process three times in a row is marked
poisoned.

  --json            write one JSON object per line
  --state STATE     only deliveries that are dead, or only those that are undecodable";

const RETRY: &str = "\
inbox retry (ID... | --all | selection) [--dry-run]

Requeues deliveries that are dead, undecodable or failed, and resets their attempts. A running
server processes them within seconds; otherwise they are processed when it starts.

  --all             requeue all of them
  --state STATE     only deliveries that are dead, undecodable or failed
  --dry-run         only print the deliveries";

const REPLAY: &str = "\
inbox replay --to URL [ID] [selection] [--as NAME --secret S] [--rate N] [--concurrency N]
             [--dry-run]

Posts archived deliveries to another server, such as a developer's, in the order in which they were
archived, with their method, path, query, headers and exact bytes. The archive is not changed. Each
request has the headers inbox-replay, with the id, and inbox-received-at, with the time of receipt.

Tokens and passwords are never archived: the placeholder REDACTED replaces them. Signatures are
archived, but those with a timestamp have expired. Either the other server accepts unsigned
requests, or these options replace what it checks:

  --to URL          the server: http://127.0.0.1:3000, optionally with a path prefix
  --header 'N: V'   set this header; may be repeated
  --query N=V       set this query parameter; may be repeated
  --as NAME         sign again, as `inbox send` does
  --secret S        the secret or token for --as (default: INBOX_SECRET)
  --token-name NAME the header or query parameter of a token, if not the default
  --rate N          maximum number of requests per second
  --concurrency N   maximum number of concurrent requests (default: 1, which keeps the order)
  --dry-run         only print the requests

Prints the number of responses by status. The exit status is 1 if one is not 2xx.
";

const SEND: &str = "\
inbox send URL --as NAME --secret S [--repeat N] [--concurrency N] [--rate N] FILE

Signs the exact bytes of FILE (`-`: standard input) as a provider does, and posts them. Prints
status and body of the response; with --repeat, the number of responses by status and the time. The
exit status is 1 if one is not 2xx. Redirects are not followed.

  --as NAME         the provider
                      signature: baseten, bfl, elevenlabs, extend, gemini, llamacloud, mindee,
                                 mindee-v1, openai, recall, reducto, replicate, rossum, standard, vlmrun
                      header:    assemblyai, deepgram, huggingface
                      query:     deepinfra, foxyai, gladia, runpod
                      key:       fal (requires feature ed25519)
  --secret S        the signing secret, the token, or the private key in hexadecimal or in base64
                    after whsk_ (default: INBOX_SECRET, which process lists do not show)
  --token-name NAME the header or query parameter of a token, if not the default
  --repeat N        post N times, each with a new signature; the bytes are the same, so an inbox
                    processes one and answers the others as repeats
  --concurrency N   with --repeat: maximum number of concurrent requests (default: 1)
  --rate N          with --repeat: maximum number of requests per second

Response timeout: 30 s. The URL must begin with http://";

const MODEL: &str = "\
inbox model [--name NAME] FILE

Writes a Rust struct for the fields of a custom Mindee model. FILE (`-`: standard input) is a
complete payload as Mindee posts it. The type of a field that is null, or of an empty list, is a
guess, marked with a comment.

  --name NAME       the name of the struct (default: Extracted)";

/// The help of a command, or of all commands if there is no such command.
pub(crate) fn of(command: &str) -> String {
    let known = COMMANDS.iter().find(|(name, ..)| *name == command);
    let help = known.map_or(ALL, |(.., help)| help);
    match command {
        "erase" | "list" | "export" | "replay" => format!("{help}\n{SELECTION}"),
        "dead" | "retry" => format!("{help}\n{SELECTION_WITHOUT_STATE}"),
        _ => help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_describes_exactly_the_options_of_each_command() {
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
