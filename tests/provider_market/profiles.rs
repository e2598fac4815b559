//! What each provider makes of status codes.

use std::{collections::HashSet, time::Duration};

use tower_inbox::provider::{
    OnClientError, Profile, Provider, assemblyai::AssemblyAi, baseten::Baseten, bfl::Bfl,
    deepgram::Deepgram, deepinfra::DeepInfra, elevenlabs::ElevenLabs, extend::Extend, fal::Fal,
    gemini::Gemini, gladia::Gladia, huggingface::HuggingFace, llamacloud::LlamaCloud,
    openai::OpenAi, recall::Recall, reducto::Reducto, replicate::Replicate, rossum::Rossum,
    runpod::RunPod, standard::Standard, vlmrun::VlmRun,
};

fn known<P: Provider>() -> (&'static str, Profile) {
    (P::NAME, P::PROFILE)
}

fn all() -> Vec<(&'static str, Profile)> {
    vec![
        known::<AssemblyAi>(),
        known::<Baseten>(),
        known::<Bfl>(),
        known::<Deepgram>(),
        known::<DeepInfra>(),
        known::<ElevenLabs>(),
        known::<Extend>(),
        known::<Fal>(),
        known::<Gemini>(),
        known::<Gladia>(),
        known::<HuggingFace>(),
        known::<LlamaCloud>(),
        known::<OpenAi>(),
        known::<Recall>(),
        known::<Reducto>(),
        known::<Replicate>(),
        known::<Rossum>(),
        known::<RunPod>(),
        known::<Standard>(),
        known::<VlmRun>(),
    ]
}

#[test]
fn names_are_in_lower_case_and_no_two_are_the_same() {
    let names: HashSet<_> = all().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), all().len());
    for name in names {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
    }
}

#[test]
fn only_a_4xx_that_is_no_more_than_a_report_is_answered() {
    let reported: Vec<_> =
        all().into_iter().filter(|(_, profile)| profile.undecodable == 422).collect();
    let names: Vec<_> = reported.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["rossum"]);
}

#[test]
fn who_wants_200_gets_200() {
    for (name, profile) in all() {
        let wants_200 = ["elevenlabs", "runpod"].contains(&name);
        assert_eq!(profile.accepted, if wants_200 { 200 } else { 202 }, "{name}");
        assert!(!wants_200 || profile.undecodable == 200, "{name}");
    }
}

#[test]
fn what_a_4xx_does_is_known() {
    let reactions = [
        (RunPod::PROFILE, OnClientError::Retries),
        (ElevenLabs::PROFILE, OnClientError::GivesUp),
        (AssemblyAi::PROFILE, OnClientError::GivesUp),
        (DeepInfra::PROFILE, OnClientError::Retries),
        (Gladia::PROFILE, OnClientError::Unpublished),
        (Rossum::PROFILE, OnClientError::Reports),
        (HuggingFace::PROFILE, OnClientError::Retries),
        (Recall::PROFILE, OnClientError::Retries),
    ];
    for (profile, reaction) in reactions {
        assert_eq!(profile.on_client_error, reaction);
    }
}

#[test]
fn published_times_are_known() {
    assert_eq!(Baseten::PROFILE.answered_within, Some(Duration::from_secs(10)));
    assert_eq!(Baseten::PROFILE.tried_for, Some(Duration::from_secs(2)));
    assert_eq!(OpenAi::PROFILE.tried_for, Some(Duration::from_hours(72)));
    assert_eq!(Gladia::PROFILE.tried_for, None);
}

/// Each provider has one row in the table of `docs/providers.md`, with what its profile says.
#[test]
fn table_of_providers_has_the_response_to_an_undecodable_delivery() {
    let page = include_str!("../../docs/providers.md");
    for (name, profile) in all() {
        let module = if name == "standard-webhooks" { "standard" } else { name };
        let is_row = |line: &&str| line.contains(&format!("| `{module}::"));
        let [row] = page.lines().filter(is_row).collect::<Vec<_>>()[..] else {
            panic!("not one row for {name}")
        };
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert!(cells[6].starts_with(profile.undecodable.as_str()), "{row}");
    }
}
