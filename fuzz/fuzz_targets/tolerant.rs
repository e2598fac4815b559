//! Tests tolerant decoding: damages values in the JSON fixtures of every provider, because senders write values of
//! unexpected types.
//!
//! Input format: the payload, the number of damages, four bytes for each damage, and a text that damages may insert.
#![no_main]

use std::{collections::BTreeMap, time::SystemTime};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::IgnoredAny};
use serde_json::Value;
use tower_inbox::{
    Delivery, DeliveryId, Inference,
    delivery::Redaction,
    provider::{
        Payload, assemblyai, baseten, bfl, deepgram, deepinfra, elevenlabs, extend, fal, foxyai,
        gemini, gladia, huggingface, llamacloud, mindee, mindee::catalogue, mindee_v1, openai,
        recall, reducto, replicate, rossum, runpod, standard, vlmrun,
    },
    signature::Proof,
};

/// A value that must not occur in errors or in the list of tolerated members.
const VALUE: &str = "hunter2";

/// The maximum size of a body. Longer ones are skipped, because damages inside repeated values multiply.
const MOST_BYTES: usize = 256 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((&[which, number], rest)) = input.split_first_chunk() else { return };
    let (payload, check) = PAYLOADS[usize::from(which) % PAYLOADS.len()];
    let steps = (usize::from(number) % 17 * 4).min(rest.len());
    let (script, text) = rest.split_at(steps);
    if let Some(damaged) = Damaged::make(payload, script, text) {
        check(&damaged);
    }
});

macro_rules! payloads {
    ($($file:literal: $type:ty,)*) => {
        [$((include_str!(concat!("../../tests/fixtures/", $file)), check::<$type>),)*]
    };
}

type Check = fn(&Damaged);

const PAYLOADS: [(&str, Check); 41] = payloads! {
    "assemblyai/redacted_audio.json": assemblyai::Notice,
    "assemblyai/session.json": assemblyai::Notice,
    "assemblyai/transcript.json": assemblyai::Notice,
    "baseten/completed.json": baseten::Completed<Value>,
    "baseten/failed.json": baseten::Completed<Value>,
    "bfl/error.json": bfl::Generation,
    "bfl/ready.json": bfl::Generation,
    "deepgram/done.json": deepgram::Response<Value>,
    "deepinfra/failed.json": deepinfra::Completion,
    "deepinfra/succeeded.json": deepinfra::Completion,
    "elevenlabs/post_call_transcription.json": elevenlabs::Event,
    "elevenlabs/voice_removed.json": elevenlabs::Event,
    "extend/link.json": extend::Event<Value>,
    "extend/whole.json": extend::Event<Value>,
    "fal/error.json": fal::Response<Value>,
    "fal/ok.json": fal::Response<Value>,
    "fal/payload_error.json": fal::Response<Value>,
    "foxyai/group_completed.json": foxyai::ImageGroup,
    "foxyai/group_processing.json": foxyai::ImageGroup,
    "gemini/batch_failed.json": gemini::Event,
    "gemini/batch_succeeded.json": gemini::Event,
    "gladia/callback_success.json": gladia::Event,
    "gladia/webhook_success.json": gladia::Event,
    "huggingface/discussion.json": huggingface::Event,
    "huggingface/update.json": huggingface::Event,
    "llamacloud/parse_success.json": llamacloud::Event,
    "mindee/custom.json": mindee::Extraction<mindee::Fields>,
    "mindee/failed.json": mindee::Extraction<mindee::Fields>,
    "mindee/invoice.json": mindee::Extraction<catalogue::Invoice>,
    "mindee/invoice.json": mindee::Extraction<mindee::Fields>,
    "mindee_v1/receipt.json": mindee_v1::Response<mindee_v1::Prediction>,
    "openai/incoming_call.json": openai::Event,
    "openai/response_completed.json": openai::Event,
    "recall/recording_done.json": recall::Event,
    "reducto/completed.json": reducto::Notice,
    "replicate/processing.json": replicate::Prediction<Value>,
    "replicate/succeeded.json": replicate::Prediction<Value>,
    "rossum/annotation_content.json": rossum::Event,
    "runpod/completed.json": runpod::Job<Value>,
    "standard/event.json": standard::Event<Value>,
    "vlmrun/completed.json": vlmrun::Prediction<Value>,
};

fn check<T: Payload + Serialize>(damaged: &Damaged) {
    let strict = T::decode(&damaged.body);
    let first = load::<T>(&damaged.body);
    assert!(strict.is_ok() || !damaged.is_whole, "a payload of ours is not decoded");
    let shown = match (&first, strict) {
        (Ok(inference), strict) => {
            let tolerated = inference.tolerated();
            assert!(strict.is_err() || tolerated.is_empty(), "tolerated: {tolerated:?}");
            assert!(!damaged.is_broken, "loaded, and is not JSON: {:?}", damaged.body);
            assert!(tolerated.len() <= 100, "{} are listed", tolerated.len());
            tolerated.iter().for_each(|one| assert_is_path(one.path()));
            let written = serde_json::to_vec(inference).expect("what was loaded can be written");
            let again = load::<T>(&written.into()).expect("what was written can be loaded");
            assert_eq!(T::key(&again), T::key(inference), "another inference: {:?}", damaged.body);
            format!("{tolerated:?}")
        }
        (Err(error), strict) => {
            assert!(strict.is_err(), "decoded strictly, and is not loaded: {error}");
            assert_is_path(error.path());
            assert!(error.to_string().len() < 4096, "{error}");
            format!("{error} {error:?}")
        }
    };
    assert!(damaged.has_text || !shown.contains(VALUE), "a value is shown: {shown}");
    let listed = |loaded: Result<Inference<T>, _>| match loaded {
        Ok(inference) => Ok(inference.tolerated().to_vec()),
        Err::<_, tower_inbox::provider::DecodeError>(error) => Err(error.to_string()),
    };
    assert_eq!(listed(load(&damaged.body)), listed(first), "read twice, not the same");
}

fn assert_is_path(path: &str) {
    assert!(path.starts_with('$') && path.chars().count() <= 256, "{path}");
}

fn load<T: Payload>(body: &Bytes) -> Result<Inference<T>, tower_inbox::provider::DecodeError> {
    let (head, ()) = http::Request::post("/hooks").body(()).unwrap().into_parts();
    Inference::load(Delivery::received(
        DeliveryId::new(),
        "/hooks".parse().unwrap(),
        &head,
        body.clone(),
        SystemTime::UNIX_EPOCH,
        Proof::new("none", "none", "raw"),
        &Redaction::default(),
    ))
}

/// Each replacement of a value, and the value that tolerant decoding reads from it.
const REPLACEMENTS: [(&str, &str); 22] = [
    ("null", "null"),
    ("true", "true"),
    ("0", "0"),
    ("-1.5", "-1.5"),
    ("18446744073709551616", "18446744073709551616"),
    ("1e400", "1e400"),
    (r#""""#, r#""""#),
    (r#""hunter2""#, r#""hunter2""#),
    (r#""12""#, r#""12""#),
    (r#""True""#, r#""True""#),
    ("NaN", "null"),
    ("Infinity", "null"),
    ("-Infinity", "null"),
    (r#""\ud83d""#, r#""\ufffd""#),
    (r#""\udc00\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
    ("[]", "[]"),
    ("{}", "{}"),
    (r#"[null, "hunter2", [], {}]"#, r#"[null, "hunter2", [], {}]"#),
    (r#"{"hunter": "hunter2"}"#, r#"{"hunter": "hunter2"}"#),
    (r#"{"NaN": NaN, "\ud800": [-Infinity]}"#, r#"{"NaN": null, "\ufffd": [null]}"#),
    ("nan", "nan"),
    ("'a'", "'a'"),
];

/// The damage to one value.
#[derive(Clone, Copy)]
enum Damage<'t> {
    Replace(&'static str, &'static str),
    Remove,
    Rename,
    Twice,
    InList,
    InObject,
    AsText,
    /// A list of more elements than the list of tolerated members can hold.
    Often,
    Insert(&'t str),
}

impl<'t> Damage<'t> {
    fn of(what: u8, argument: u8, text: &'t str) -> Self {
        let (raw, repaired) = REPLACEMENTS[usize::from(argument) % REPLACEMENTS.len()];
        match what % 16 {
            0 => Self::Remove,
            1 => Self::Rename,
            2 => Self::Twice,
            3 => Self::InList,
            4 => Self::InObject,
            5 => Self::AsText,
            6 => Self::Often,
            7 => Self::Insert(text),
            _ => Self::Replace(raw, repaired),
        }
    }
}

struct Damaged {
    body: Bytes,
    /// True if the body is certainly not JSON, even after the repairs.
    is_broken: bool,
    /// True if the body contains a text of the input.
    has_text: bool,
    /// True if the payload is undamaged.
    is_whole: bool,
}

impl Damaged {
    fn make(payload: &str, script: &[u8], text: &[u8]) -> Option<Self> {
        let payload: Value = serde_json::from_str(payload).unwrap();
        let text = String::from_utf8_lossy(text);
        let text = text.get(..text.floor_char_boundary(512)).unwrap_or(&text);
        let (number, mut damages) = (values_in(&payload), BTreeMap::new());
        let (mut has_mark, mut cut) = (false, None);
        for step in script.chunks_exact(4) {
            let at = usize::from(u16::from_le_bytes([step[1], step[2]]));
            match step[0] {
                0xf0..=0xf7 => has_mark = true,
                0xf8..=0xff => cut = Some(at),
                what => drop(damages.insert(at % number, Damage::of(what, step[3], text))),
            }
        }
        let has_text = damages.values().any(|damage| matches!(damage, Damage::Insert(_)));
        let write = |repaired| {
            let mut writer = Writer { out: String::new(), next: 0, damages: &damages, repaired };
            writer.value(&payload);
            writer.out
        };
        let mut raw = write(false);
        if raw.len() > MOST_BYTES {
            return None;
        }
        // The effect of the repairs on an inserted text is not predicted here.
        let mut is_broken = !has_text && serde_json::from_str::<IgnoredAny>(&write(true)).is_err();
        if let Some(at) = cut {
            let end = raw.floor_char_boundary(at % (raw.len() + 1));
            // A truncated object is never valid JSON. Truncated values of other types can be.
            is_broken = !has_text && (end == 0 || (end < raw.len() && raw.starts_with('{')));
            raw.truncate(end);
        }
        let mark = if has_mark { "\u{feff}" } else { "" };
        let is_whole = script.is_empty();
        Some(Self { body: format!("{mark}{raw}").into(), is_broken, has_text, is_whole })
    }
}

fn values_in(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(values_in).sum(),
        Value::Object(members) => members.values().map(values_in).sum(),
        _ => 0,
    }
}

/// Writes a payload with its damages. Values are numbered in the order in which they are written.
struct Writer<'d> {
    out: String,
    next: usize,
    damages: &'d BTreeMap<usize, Damage<'d>>,
    repaired: bool,
}

impl Writer<'_> {
    /// Writes a value that is not a member of an object.
    fn value(&mut self, value: &Value) {
        self.item(None, value);
    }

    /// Writes a member of an object, or another value if `name` is `None`. Returns false if nothing was written.
    fn item(&mut self, name: Option<&str>, value: &Value) -> bool {
        let number = self.next;
        self.next += 1;
        let damage = self.damages.get(&number).copied();
        if self.out.len() > MOST_BYTES {
            return true;
        }
        if matches!(damage, Some(Damage::Remove)) && number > 0 {
            self.next += values_in(value) - 1;
            return false;
        }
        let renamed = name.filter(|_| matches!(damage, Some(Damage::Rename)));
        let renamed = renamed.map(|name| format!("{name}_"));
        let name = renamed.as_deref().or(name);
        self.name(name);
        match damage {
            Some(Damage::Replace(raw, repaired)) => {
                self.out.push_str(if self.repaired { repaired } else { raw });
            }
            Some(Damage::Insert(text)) => self.out.push_str(text),
            Some(Damage::AsText) => self.out += &Value::from(value.to_string()).to_string(),
            Some(Damage::InList) => self.around("[", value, "]"),
            Some(Damage::InObject) => self.around(r#"{"value": "#, value, "}"),
            Some(Damage::Often) => self.often(number, value),
            Some(Damage::Twice) if number > 0 => {
                self.inside(value);
                self.next = number + 1;
                self.out.push(',');
                self.name(name);
                self.inside(value);
            }
            _ => self.inside(value),
        }
        self.next = number + values_in(value);
        true
    }

    fn name(&mut self, name: Option<&str>) {
        if let Some(name) = name {
            self.out += &format!("{}: ", Value::from(name));
        }
    }

    fn around(&mut self, before: &str, value: &Value, behind: &str) {
        self.out.push_str(before);
        self.inside(value);
        self.out.push_str(behind);
    }

    fn often(&mut self, number: usize, value: &Value) {
        self.out.push('[');
        for time in 0..120 {
            self.out.push_str(if time == 0 { "" } else { ", " });
            self.next = number + 1;
            self.inside(value);
        }
        self.out.push(']');
    }

    /// Writes the members of a value, each with its own damage.
    fn inside(&mut self, value: &Value) {
        match value {
            Value::Array(list) => {
                self.all('[', list.iter().map(|value| (None, value)), ']');
            }
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (Some(name.as_str()), value));
                self.all('{', members, '}');
            }
            _ => self.out += &value.to_string(),
        }
    }

    fn all<'v>(
        &mut self,
        before: char,
        items: impl Iterator<Item = (Option<&'v str>, &'v Value)>,
        behind: char,
    ) {
        self.out.push(before);
        for (name, value) in items {
            let (end, is_first) = (self.out.len(), self.out.ends_with(before));
            self.out.push_str(if is_first { "" } else { ", " });
            if !self.item(name, value) {
                self.out.truncate(end);
            }
        }
        self.out.push(behind);
    }
}
