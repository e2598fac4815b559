//! Signatures: the published test vector of Standard Webhooks, and others created with Python's `hmac`, outside of this
//! crate, by each provider's instructions. Each with negative cases.

use tower_inbox::{
    Secret,
    provider::{
        SignedProvider, baseten::Baseten, bfl::Bfl, elevenlabs::ElevenLabs, extend::Extend,
        gemini::Gemini, llamacloud::LlamaCloud, openai::OpenAi, recall::Recall, reducto::Reducto,
        replicate::Replicate, rossum::Rossum, standard::Standard, vlmrun::VlmRun,
    },
    signature::Scheme,
};

use crate::signed::Signed;

/// From `test_sign_function` in `libraries/python/tests/test_webhooks.py` of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const PUBLISHED: Signed = Signed {
    body: br#"{"test": 2432232314}"#,
    at: 1_614_265_330,
    headers: &[
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ],
};

const PUBLISHED_SVIX: Signed = Signed {
    body: PUBLISHED.body,
    at: PUBLISHED.at,
    headers: &[
        ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("svix-timestamp", "1614265330"),
        ("svix-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ],
};

pub(crate) const BODY: &[u8] = "{\"request_id\": \"r1\", \"text\": \"café\"}".as_bytes();
pub(crate) const AT: u64 = 1_772_355_600;

const fn signed(headers: &'static [(&'static str, &'static str)]) -> Signed {
    Signed { body: BODY, at: AT, headers }
}

const PLAIN: &str = "sha256=4d1264f085b683e6bae141c0b5c33f6155cc9352ef9a7c940da8bb441630a122";
const BFL: Signed = signed(&[("X-BFL-Signature", PLAIN)]);
const VLMRUN: Signed = signed(&[("X-VLMRun-Signature", PLAIN)]);
const LLAMACLOUD: Signed = signed(&[("LC-Signature", PLAIN)]);
const ROSSUM: Signed = signed(&[("X-Rossum-Signature-SHA256", PLAIN)]);
const BASETEN: Signed = signed(&[(
    "X-BASETEN-SIGNATURE",
    "v1=2fb82ac26ba5a61cc753c3393fc122d1d567574af7f332c95f7b7f352aaf0d37,\
     v1=1036db1068b750b9531fa00d7325ebd182c572e5dc40ec4cd9c7a8b025d7e62a",
)]);
const ELEVENLABS: Signed = signed(&[(
    "ElevenLabs-Signature",
    "t=1772355600,v0=14e617da7989828cb12e92677fc83995e6ff8531b0223dae0940edc0f2e75481",
)]);
const EXTEND: Signed = signed(&[
    ("x-extend-request-timestamp", "1772355600"),
    (
        "x-extend-request-signature",
        "3f5b7b3cf327b24c24cdfa6b967137ca5048772924cd9836e60546abb341cf79",
    ),
]);

#[test]
fn standard_webhooks_vector_is_accepted_from_every_provider_that_uses_it() {
    PUBLISHED.is_all_that_is_accepted_of::<Standard>(SECRET);
    PUBLISHED.is_all_that_is_accepted_of::<Replicate>(SECRET);
    PUBLISHED.is_all_that_is_accepted_of::<Recall>(SECRET);
    PUBLISHED.is_all_that_is_accepted_of::<OpenAi>(SECRET);
    PUBLISHED.is_all_that_is_accepted_of::<Gemini>(SECRET);
    PUBLISHED_SVIX.is_all_that_is_accepted_of::<Reducto>(SECRET);
    PUBLISHED.is_accepted_within::<OpenAi>(SECRET, Some(300), 300);
}

#[test]
fn body_signature_is_accepted_in_the_header_of_its_provider() {
    BFL.is_all_that_is_accepted_of::<Bfl>("correct horse");
    VLMRUN.is_all_that_is_accepted_of::<VlmRun>("correct horse");
    LLAMACLOUD.is_all_that_is_accepted_of::<LlamaCloud>("correct horse");
    ROSSUM.is_all_that_is_accepted_of::<Rossum>("correct horse");
}

#[test]
fn either_signature_of_baseten_is_accepted_during_rotation() {
    BASETEN.is_all_that_is_accepted_of::<Baseten>("whsec_correct horse");
    BASETEN.is_all_that_is_accepted_of::<Baseten>("whsec_older horse");
    let bare = Baseten::scheme(Secret::new("correct horse").into());
    assert!(bare.verify(&BASETEN.head(), BODY, BASETEN.at()).is_err());
}

#[test]
fn timestamped_signature_is_accepted_within_the_tolerance_of_its_provider() {
    ELEVENLABS.is_all_that_is_accepted_of::<ElevenLabs>("wsec_correct horse");
    ELEVENLABS.is_accepted_within::<ElevenLabs>("wsec_correct horse", None, 1800);
    EXTEND.is_all_that_is_accepted_of::<Extend>("wss_correct horse");
    EXTEND.is_accepted_within::<Extend>("wss_correct horse", Some(60), 300);
}
