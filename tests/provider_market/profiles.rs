//! How each provider handles status codes.

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
fn provider_names_are_unique_and_in_lower_case() {
    let names: HashSet<_> = all().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), all().len());
    for name in names {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
    }
}

#[test]
fn undecodable_is_answered_4xx_only_if_the_provider_reports_failures() {
    let reported: Vec<_> =
        all().into_iter().filter(|(_, profile)| profile.undecodable == 422).collect();
    let names: Vec<_> = reported.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["rossum"]);
}

#[test]
fn providers_that_require_200_get_200() {
    for (name, profile) in all() {
        let wants_200 = ["elevenlabs", "runpod"].contains(&name);
        assert_eq!(profile.accepted, if wants_200 { 200 } else { 202 }, "{name}");
        assert!(!wants_200 || profile.undecodable == 200, "{name}");
    }
}

#[test]
fn reaction_to_4xx_is_set_for_every_provider() {
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
fn published_timeouts_and_retry_periods_are_set() {
    assert_eq!(Baseten::PROFILE.answered_within, Some(Duration::from_secs(10)));
    assert_eq!(Baseten::PROFILE.tried_for, Some(Duration::from_secs(2)));
    assert_eq!(OpenAi::PROFILE.tried_for, Some(Duration::from_secs(72 * 60 * 60)));
    assert_eq!(Gladia::PROFILE.tried_for, None);
}

/// Each provider has one row in the table of `docs/providers.md` that matches its profile.
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
