//! Options, errors, help, completions, man pages, and the escaping of output.

use std::path::Path;

use tower_inbox::{Outcome, testing::Sample};

use super::{append, builder, errors, fill, inbox, objects, settle, written};

#[tokio::test]
async fn archive_option_overrides_the_environment() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(&builder(dir.path()).open().await.unwrap()).await;
    drop(builder(other.path()).open().await.unwrap());
    let named = ["list", "--json", "--archive", dir.path().to_str().unwrap()];
    assert_eq!(objects(&written(other.path(), &named)).len(), 10);
    assert_eq!(objects(&written(other.path(), &["list", "--json"])).len(), 0);
}

#[test]
fn mistakes_are_named_with_a_suggestion() {
    for (arguments, wanted) in [
        (&["exprt"][..], "a similar subcommand exists: 'export'"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&["--frob"], "unexpected argument '--frob'"),
        (&["list", "x"], "unexpected argument 'x'"),
        (&["list", "--jsn"], "a similar argument exists: '--json'"),
        (&["list", "--state", "x"], "[possible values: pending, leased, processed, failed, dead"),
        (&["list", "--since", "soon"], "use 2026-01-31, 2026-01-31T12:00:00Z, or an age"),
        (&["purge"], "--keep <AGE>"),
        (&["send", "http://a/", "f", "--as", "minde"], "a similar value exists: 'mindee'"),
    ] {
        let output = inbox(Path::new("/nowhere"), arguments);
        let errors = errors(&output);
        assert!(errors.starts_with("error: ") && errors.contains(wanted), "{errors}");
        assert!(!errors.contains('\u{1b}'), "colors are for terminals: {errors}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn no_command_creates_an_archive_and_help_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    for arguments in [
        &["list"][..],
        &["stats"],
        &["purge", "--keep", "30d"],
        &["show"],
        &["show", "x"],
        &["verify"],
        &["retry", "--all"],
        &["quarantine", "list", "--quarantine", "/nowhere/else"],
    ] {
        let output = inbox(&nowhere, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stderr.starts_with(b"error: "), "{arguments:?}");
    }
    let said = errors(&inbox(&nowhere, &["list"]));
    assert!(said.contains("use --archive DIR, or set INBOX_ARCHIVE"), "{said}");
    assert!(!nowhere.exists(), "no command creates an archive");
    for arguments in [&[][..], &["help"], &["--help"], &["list", "--help"], &["help", "purge"]] {
        let help = written(&nowhere, arguments);
        assert!(help.contains("--archive <DIR|URL>"), "{arguments:?}");
        assert!(help.contains("Exit status:") && help.contains("Examples:"), "{arguments:?}");
    }
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = written(Path::new("/nowhere"), &["completions", shell]);
        assert!(script.contains("inbox") && script.contains("quarantine"), "{shell}");
    }
}

#[test]
fn man_pages_are_printed_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let page = written(dir.path(), &["man"]);
    assert!(page.contains(".TH inbox 1") && page.contains("Exit status"), "{page}");
    let page = written(dir.path(), &["man", "purge"]);
    assert!(page.contains("inbox\\-purge") && page.contains("\\-\\-keep"), "{page}");
    assert_eq!(inbox(dir.path(), &["man", "frobnicate"]).status.code(), Some(2));
    let into = dir.path().join("man1");
    written(dir.path(), &["man", "--into", into.to_str().unwrap()]);
    for name in ["inbox.1", "inbox-list.1", "inbox-quarantine-release.1"] {
        assert!(into.join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn control_and_bidi_characters_of_a_sender_are_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let hostile = "\u{9b}31m\u{202e}";
    let sample = Sample::of("/m").header("x-raw", b"\x9b2J\xff").body("\u{1b}[2J");
    let one = sample.header("x-text", hostile.as_bytes()).delivery();
    append(&archive, &one).await;
    settle(&archive, one.id(), Outcome::dead(hostile)).await;
    archive.close().await;
    drop(archive);
    let id = one.id().to_string();
    let shown = written(dir.path(), &["show", &id]);
    assert!(shown.contains(r"x-raw: \x9b2J\xff"), "{shown}");
    assert!(shown.contains(r"x-text: \u{9b}31m\u{202e}"), "{shown}");
    let listings = [&["list"][..], &["dead"], &["retry", "--all", "--dry-run"]];
    for arguments in listings {
        let text = written(dir.path(), arguments);
        assert!(text.contains(r"\u{9b}31m\u{202e}"), "{arguments:?}: {text}");
        assert!(!text.contains(['\u{9b}', '\u{202e}']), "{arguments:?}: {text}");
    }
    for arguments in [&["list", "--json"][..], &["dead", "--json"], &["show", &id, "--json"]] {
        let text = written(dir.path(), arguments);
        assert!(
            text.contains(r"31m\u202e") && !text.contains(['\u{9b}', '\u{202e}']),
            "{arguments:?}: {text}"
        );
    }
    let missing = inbox(dir.path(), &["show", hostile]);
    let error = String::from_utf8(missing.stderr).unwrap();
    assert!(error.contains(r"\u{9b}31m\u{202e}") && !error.contains('\u{9b}'), "{error}");
    // Without a terminal, the body is written unescaped.
    assert_eq!(inbox(dir.path(), &["show", &id, "--body"]).stdout, b"\x1b[2J");
}

#[cfg(not(feature = "postgres"))]
#[test]
fn postgres_url_without_the_feature_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let output = inbox(dir.path(), &["list", "--archive", "postgres://inbox@db/app"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("the features 'cli' and 'postgres'"), "{}", errors(&output));
}
