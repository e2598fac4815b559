/// The commands, and the options that each has besides those of all.
pub(crate) const COMMANDS: [(&str, &[&str], &str); 7] = [
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
];

const ALL: &str = "\
Looks after the archive of an inbox. All but `purge` and `erase` only read, also while a server
writes to the archive; those two have the server do it.

  inbox list            what is in the archive, oldest first
  inbox show ID         one delivery; --body writes its exact bytes
  inbox verify          read everything, check every checksum and digest
  inbox stats           how much there is, of what
  inbox purge --keep A  remove what is settled and older
  inbox erase ID        remove one delivery
  inbox export          write a selection as one WARC file
  inbox help COMMAND    more about one of them

  --archive DIR         the directory of the archive (INBOX_ARCHIVE, else ./inbox)
  --version

Exit status: 0 if all is well, 1 if what was asked for is not there or is damaged, 2 if it could
not be done.";

const SELECTION: &str = "\
  --model NAME      only those for this model
  --outcome WORD    only those whose latest outcome is processed, failed, dead, undecodable or repeat
  --pending         only those without an outcome
  --settled         only those that will not be tried again
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

Writes deliveries and their outcomes as one WARC file.

  --into FILE       the file to write, which must not be there; else to the standard output
  --dry-run         only say how many that would be";

/// The help of a command; of all without one, or where there is no such.
pub(crate) fn of(command: &str) -> String {
    let known = COMMANDS.iter().find(|(name, ..)| *name == command);
    let help = known.map_or(ALL, |(.., help)| help);
    match command {
        "list" | "export" => format!("{help}\n{SELECTION}"),
        _ => help.to_owned(),
    }
}
