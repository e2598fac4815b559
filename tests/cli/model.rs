use std::{
    io::Write,
    process::{Command, Stdio},
};

use tower_inbox::provider::{Payload, mindee::Extraction};

use super::{generated::Certificate, inbox, written};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/mindee/custom.json");

#[test]
fn generated_structs_are_those_compiled_into_this_test() {
    let dir = tempfile::tempdir().unwrap();
    let text = written(dir.path(), &["model", SAMPLE, "--name", "certificate"]);
    assert_eq!(text, include_str!("generated.rs"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.args(["model", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(SAMPLE).unwrap()).unwrap();
    let piped = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(piped, text.replace("Certificate", "Extracted"));
}

#[test]
fn generated_structs_decode_the_whole_sample() {
    let body = std::fs::read(SAMPLE).unwrap().into();
    let response = Extraction::<Certificate>::decode(&body).unwrap();
    let certificate = response.fields().unwrap();
    assert_eq!(certificate.r#type.value.as_deref(), Some("organic"));
    assert_eq!(certificate.total_ttc.value, Some(12.5));
    assert_eq!(certificate.total_ttc2.value, Some(3.0));
    assert_eq!(certificate.n1099_form.value, Some(true));
    assert_eq!(certificate.valid_until.value, None);
    assert!(certificate.seals.is_empty());
    assert_eq!(certificate.marks[0].value.as_deref(), Some("A"));
    assert_eq!(certificate.readings[1].value.as_ref().unwrap().as_f64(), Some(4.0));
    assert!(certificate.oddities[1].object().is_some());
    assert_eq!(certificate.issuer.address.city.value.as_deref(), Some("Paris"));
    assert_eq!(certificate.issuer.name.value.as_deref(), Some("Tea Board"));
    assert_eq!(certificate.growers[0].share.value, Some(40.0));
    assert_eq!(certificate.growers[1].name.value.as_deref(), Some("Chen"));
    assert_eq!(certificate.growers[1].address.city.value.as_deref(), Some("Hangzhou"));
    assert_eq!(certificate.growers[1].field.hectares.value, Some(1.5));
}

#[test]
fn sample_without_fields_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let failed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/mindee/failed.json");
    for (arguments, wanted) in [
        (&["model", failed][..], "has no fields"),
        (&["model", "/nowhere"], "cannot read /nowhere"),
        (&["model"], "<FILE>"),
        (&["model", failed, failed], "unexpected argument"),
    ] {
        let output = inbox(dir.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(wanted), "{arguments:?}: {errors}");
        assert_eq!(output.status.code(), Some(2));
    }
}
