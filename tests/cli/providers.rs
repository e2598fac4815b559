//! The model of each provider accepts the requests that `inbox send` sends as that provider.

use serde_json::Value;
use tower_inbox::{
    Inbox, MemoryArchive, Model, Secret,
    provider::{
        assemblyai, baseten, bfl, deepgram, deepinfra, elevenlabs, extend, foxyai, gemini, gladia,
        huggingface, llamacloud, mindee, mindee_v1, openai, recall, reducto, replicate, rossum,
        runpod, standard, vlmrun,
    },
};

use super::send::{SECRET, Server, fixture};

/// RFC 8032, section 7.1, test 1.
#[cfg(feature = "ed25519")]
const KEY: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

/// A provider, its model as documented, and a fixture.
type Sender = (&'static str, Model, &'static str);

fn signing() -> Vec<Sender> {
    let secret = || Secret::new(SECRET);
    vec![
        ("baseten", baseten::completed::<Value>().signed_with(secret()), "baseten/completed.json"),
        ("bfl", bfl::generation().signed_with(secret()), "bfl/ready.json"),
        (
            "elevenlabs",
            elevenlabs::event::<Value>().signed_with(secret()),
            "elevenlabs/voice_removed.json",
        ),
        ("extend", extend::event::<Value>().signed_with(secret()), "extend/whole.json"),
        ("gemini", gemini::event().signed_with(secret()), "gemini/batch_failed.json"),
        (
            "llamacloud",
            llamacloud::event::<Value>().signed_with(secret()),
            "llamacloud/parse_success.json",
        ),
        (
            "mindee",
            mindee::extraction::<mindee::Fields>().signed_with(secret()),
            "mindee/invoice.json",
        ),
        (
            "mindee-v1",
            mindee_v1::document::<mindee_v1::Prediction>().signed_with(secret()),
            "baseten/completed.json",
        ),
        ("openai", openai::event().signed_with(secret()), "openai/response_completed.json"),
        ("recall", recall::event::<Value>().signed_with(secret()), "recall/recording_done.json"),
        ("reducto", reducto::notice().signed_with(secret()), "reducto/completed.json"),
        (
            "replicate",
            replicate::prediction::<Value>().signed_with(secret()),
            "replicate/succeeded.json",
        ),
        ("rossum", rossum::event().signed_with(secret()), "rossum/annotation_content.json"),
        ("standard", standard::event::<Value>().signed_with(secret()), "standard/event.json"),
        ("vlmrun", vlmrun::prediction::<Value>().signed_with(secret()), "vlmrun/completed.json"),
    ]
}

fn with_tokens() -> Vec<Sender> {
    let secret = || Secret::new(SECRET);
    let chosen = http::HeaderName::from_static("x-webhook-secret");
    vec![
        (
            "assemblyai",
            assemblyai::notice().token_in_header(chosen, secret()),
            "assemblyai/transcript.json",
        ),
        (
            "deepgram",
            deepgram::transcription::<Value>().token_in_header(deepgram::TOKEN, secret()),
            "deepgram/done.json",
        ),
        (
            "deepinfra",
            deepinfra::completion().token_in_query("token", secret()),
            "deepinfra/succeeded.json",
        ),
        (
            "foxyai",
            foxyai::image_group().token_in_query("token", secret()),
            "foxyai/group_completed.json",
        ),
        (
            "gladia",
            gladia::event::<Value>().token_in_query("token", secret()),
            "gladia/callback_success.json",
        ),
        (
            "huggingface",
            huggingface::event().token_in_header(huggingface::SECRET, secret()),
            "huggingface/update.json",
        ),
        (
            "runpod",
            runpod::job::<Value>().token_in_query("token", secret()),
            "runpod/completed.json",
        ),
    ]
}

#[cfg(feature = "ed25519")]
fn with_keys() -> Vec<Sender> {
    use tower_inbox::{provider::fal, signature::Ed25519Key};

    let public = Ed25519Key::private(&hex::decode(KEY).unwrap()).unwrap();
    vec![("fal", fal::response::<Value>().verified_by(fal::signature(public)), "fal/ok.json")]
}

#[cfg(not(feature = "ed25519"))]
fn with_keys() -> Vec<Sender> {
    Vec::new()
}

fn secret_of(sender: &str) -> &'static str {
    match sender {
        #[cfg(feature = "ed25519")]
        "fal" => KEY,
        _ => SECRET,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn model_of_each_provider_accepts_its_own_signature() {
    let archive = MemoryArchive::new();
    let all = || signing().into_iter().chain(with_tokens()).chain(with_keys());
    let mut inbox = Inbox::builder(archive.clone());
    for (sender, model, _) in all() {
        inbox = inbox.model(format!("/{sender}"), model);
    }
    let server = Server::of(&inbox.build().unwrap(), archive).await;
    let v1 = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(v1.path(), r#"{"job": {"id": "j1"}}"#).unwrap();
    let v1 = v1.path().display().to_string();
    let help =
        std::process::Command::new(env!("CARGO_BIN_EXE_inbox")).args(["help", "send"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for (sender, _, file) in all() {
        assert!(help.contains(sender), "{sender}");
        let file = if sender == "mindee-v1" { v1.clone() } else { fixture(file) };
        let path = format!("/{sender}");
        let output = server.send_with(secret_of(sender), &path, sender, &file, &[]).await;
        assert_eq!(output.status.code(), Some(0), "{sender}: {output:?}");
    }
    assert_eq!(server.archived().await.len(), all().count());
}
