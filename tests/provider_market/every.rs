//! Every type of every provider with any posted body: no panic, and decoded payloads round-trip.

use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tower_inbox::{
    Inference,
    delivery::{Delivery, DeliveryId, Redaction},
    provider::{
        Payload, assemblyai, baseten, bfl, deepgram, deepinfra, elevenlabs, extend, fal, foxyai,
        gemini, gladia, huggingface, llamacloud,
        mindee::{self, catalogue},
        mindee_v1, openai, recall, reducto, replicate, rossum, runpod, standard, vlmrun,
    },
    signature::Proof,
};

/// Returns true if a body can be loaded as one of the types.
type Load = fn(&Bytes) -> bool;

const TYPES: [Load; 43] = [
    load::<mindee::Extraction<mindee::Fields>>,
    load::<mindee::Extraction<catalogue::BankAccountDetails>>,
    load::<mindee::Extraction<catalogue::BankStatement>>,
    load::<mindee::Extraction<catalogue::BillOfLading>>,
    load::<mindee::Extraction<catalogue::BusinessCard>>,
    load::<mindee::Extraction<catalogue::DriversLicense>>,
    load::<mindee::Extraction<catalogue::EuropeanVehicleRegistration>>,
    load::<mindee::Extraction<catalogue::FinancialDocument>>,
    load::<mindee::Extraction<catalogue::InternationalId>>,
    load::<mindee::Extraction<catalogue::Invoice>>,
    load::<mindee::Extraction<catalogue::NutritionFacts>>,
    load::<mindee::Extraction<catalogue::Passport>>,
    load::<mindee::Extraction<catalogue::Payslip>>,
    load::<mindee::Extraction<catalogue::Receipt>>,
    load::<mindee::Extraction<catalogue::Resume>>,
    load::<mindee::Extraction<catalogue::UsHealthcareCard>>,
    load::<mindee::Classification>,
    load::<mindee::Crop>,
    load::<mindee::Split>,
    load::<mindee::Ocr>,
    load::<mindee_v1::Response<mindee_v1::Prediction>>,
    load::<foxyai::ImageGroup>,
    load::<foxyai::Image>,
    load::<assemblyai::Notice>,
    load::<baseten::Completed<Value>>,
    load::<bfl::Generation>,
    load::<deepgram::Response<Value>>,
    load::<deepinfra::Completion>,
    load::<elevenlabs::Event>,
    load::<extend::Event<Value>>,
    load::<fal::Response<Value>>,
    load::<gemini::Event>,
    load::<gladia::Event>,
    load::<huggingface::Event>,
    load::<llamacloud::Event>,
    load::<openai::Event>,
    load::<reducto::Notice>,
    load::<replicate::Prediction<Value>>,
    load::<rossum::Event>,
    load::<runpod::Job<Value>>,
    load::<standard::Event<Value>>,
    load::<vlmrun::Prediction<Value>>,
    load::<recall::Event<Value>>,
];

/// Returns the number of types as which the input can be loaded. An input that begins like an object is loaded as all
/// types, so that every payload is an input; otherwise the first byte selects one type for the rest.
pub(crate) fn load_as_any(input: &[u8]) -> usize {
    match input.split_first() {
        Some((b'{', _)) => {
            let body = Bytes::copy_from_slice(input);
            TYPES.iter().filter(|load| load(&body)).count()
        }
        Some((&which, body)) => {
            let body = Bytes::copy_from_slice(body);
            TYPES.get(usize::from(which) % TYPES.len()).map_or(0, |load| usize::from(load(&body)))
        }
        None => 0,
    }
}

fn load<T: Payload + Serialize>(body: &Bytes) -> bool {
    let inference = match Inference::<T>::load(delivery(body)) {
        Ok(inference) => inference,
        Err(error) => {
            assert!(error.to_string().len() < 4096 && error.path().starts_with('$'), "{error}");
            return false;
        }
    };
    drop(inference.unknown());
    let written = serde_json::to_vec(&inference).expect("what was loaded can be written").into();
    let again = Inference::<T>::load(delivery(&written)).expect("what was written can be loaded");
    assert_eq!(T::key(&again), T::key(&inference), "what was written is the same inference");
    true
}

fn delivery(body: &Bytes) -> Delivery {
    let (head, ()) = http::Request::post("/hooks").body(()).expect("it is a head").into_parts();
    Delivery::received(
        DeliveryId::new(),
        "/hooks".parse().expect("it is a name"),
        &head,
        body.clone(),
        SystemTime::UNIX_EPOCH,
        Proof::new("none", "none", "raw"),
        &Redaction::default(),
    )
}
