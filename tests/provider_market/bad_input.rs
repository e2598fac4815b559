//! Bodies of a type other than the provider's are rejected without a panic.

use bytes::Bytes;
use tower_inbox::provider::{
    Payload, assemblyai, baseten, bfl, deepgram, deepinfra, elevenlabs, extend, fal, gemini,
    gladia, huggingface, llamacloud, openai, recall, reducto, replicate, rossum, runpod, standard,
    vlmrun,
};

const BAD: [&str; 9] = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    r#"["id", "succeeded", null, null]"#,
    r#""\ud800""#,
    r#"{"id": 1e400, "status": {}, "type": [], "payload": 7, "data": 7}"#,
    "\u{feff}{}",
];

fn refuses<T: Payload>(bad: &Bytes) -> bool {
    let deep = r#"{"a":"#.repeat(10_000);
    T::decode(bad).is_err() && T::decode(&deep.into()).is_err()
}

#[test]
fn invalid_bodies_are_errors_and_do_not_panic() {
    for text in BAD {
        let bad = Bytes::from_static(text.as_bytes());
        assert!(refuses::<assemblyai::Notice>(&bad), "assemblyai: {text}");
        assert!(refuses::<baseten::Completed>(&bad), "baseten: {text}");
        assert!(refuses::<bfl::Generation>(&bad), "bfl: {text}");
        assert!(refuses::<deepgram::Response>(&bad), "deepgram: {text}");
        assert!(refuses::<deepinfra::Completion>(&bad), "deepinfra: {text}");
        assert!(refuses::<elevenlabs::Event>(&bad), "elevenlabs: {text}");
        assert!(refuses::<extend::Event>(&bad), "extend: {text}");
        assert!(refuses::<fal::Response>(&bad), "fal: {text}");
        assert!(refuses::<gemini::Event>(&bad), "gemini: {text}");
        assert!(refuses::<gladia::Event>(&bad), "gladia: {text}");
        assert!(refuses::<huggingface::Event>(&bad), "huggingface: {text}");
        assert!(refuses::<llamacloud::Event>(&bad), "llamacloud: {text}");
        assert!(refuses::<openai::Event>(&bad), "openai: {text}");
        assert!(refuses::<reducto::Notice>(&bad), "reducto: {text}");
        assert!(refuses::<replicate::Prediction>(&bad), "replicate: {text}");
        assert!(refuses::<rossum::Event>(&bad), "rossum: {text}");
        assert!(refuses::<runpod::Job>(&bad), "runpod: {text}");
        assert!(refuses::<recall::Event>(&bad), "recall: {text}");
        // Any object is a valid event of a sender that follows Standard Webhooks.
        assert!(text == "{}" || refuses::<standard::Event>(&bad), "standard: {text}");
        assert!(refuses::<vlmrun::Prediction>(&bad), "vlmrun: {text}");
    }
}
