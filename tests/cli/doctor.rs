//! `inbox doctor`.

use serde_json::Value;
use tower_inbox::{Secret, provider::mindee, testing::Sample};

use super::{append, builder, errors, inbox};

const BODY: &str = r#"{"a": 1}"#;

fn signature(secret: &str) -> String {
    mindee::signature(Secret::new(secret)).sign(BODY.as_bytes()).unwrap()
}

#[tokio::test]
async fn doctor_explains_the_signature_of_an_archived_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let signature = format!("sha256={}", signature("right"));
    let sample = Sample::of("/m").header("x-signature", signature.as_bytes()).body(BODY);
    let one = sample.delivery();
    append(&archive, &one).await;
    let id = one.id().to_string();
    let doctor = |secret, more: &[&str]| {
        let arguments = ["doctor", &id[..id.len() - 1], "--as", "mindee", "--secret", secret];
        inbox(dir.path(), &[&arguments[..], more].concat())
    };
    let output = doctor("right", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("rejected: "), "{text}");
    assert!(text.contains("would match if the signature had the prefix sha256="), "{text}");
    assert!(!text.contains("right"), "no secret is printed: {text}");
    let object: Value = serde_json::from_slice(&doctor("right", &["--json"]).stdout).unwrap();
    assert_eq!((&object["accepted"], &object["proof"]), (&false.into(), &Value::Null));
    assert!(object["error"].is_string() && object["hint"].is_string(), "{object}");
    assert!(object["findings"][0]["differences"][0].is_string(), "{object}");
    let hmac = ["doctor", &id, "--as", "hmac", "--header", "x-signature", "--prefix", "sha256="];
    let output = inbox(dir.path(), &[&hmac[..], &["--secret", "right"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(output.stdout.starts_with(b"accepted: "));
    let output = doctor("wrong", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("no known difference"), "{text}");
}

#[test]
fn doctor_examines_a_file_with_the_given_headers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("body.json");
    std::fs::write(&file, format!("{BODY}\n")).unwrap();
    let header = format!("X-Signature: {}", signature("right"));
    let arguments = ["doctor", file.to_str().unwrap(), "--set-header", &header, "--as", "mindee"];
    let output = inbox(dir.path(), &[&arguments[..], &["--secret", "right"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("without the line break at the end of the body"), "{text}");
    std::fs::write(&file, BODY).unwrap();
    let output = inbox(dir.path(), &[&arguments[..], &["--secret", "right"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let output = inbox(dir.path(), &["doctor", "/no/file", "--as", "mindee", "--secret", "a"]);
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
}
