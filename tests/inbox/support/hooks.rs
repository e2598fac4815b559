//! The paths of the example `receiver`, the scheme of each, and its payloads.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use http::HeaderName;
use tower_inbox::{
    Secret,
    provider::{SignedProvider, baseten::Baseten, fal, mindee, mindee_v1},
    signature::{Ed25519Key, HeaderToken, QueryToken, Scheme, StandardWebhooks},
};

use super::receiver_process::{EXTRACTION, IMAGE_GROUP, SECRET};

pub(crate) const TOKEN: &str = "t&t";

/// RFC 8032, section 7.1, test 1. The public key is in the format of a JWKS.
pub(crate) const FAL_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const FAL_PRIVATE: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

/// The arguments that enable all paths of the receiver.
pub(crate) const ALL: [&str; 4] = ["--token", TOKEN, "--fal-key", FAL_KEY];

/// Errors and job responses of Mindee's API, which webhooks never post.
const NEVER_POSTED: [&str; 5] = [
    "mindee/v2/errors/error_401_invalid_api_key.json",
    "mindee/v2/errors/error_401_missing_credentials.json",
    "mindee/v2/job/fail_422.json",
    "mindee/v2/job/ok_processed_webhooks_ok.json",
    "mindee/v2/job/ok_processing.json",
];

pub(crate) struct Hook {
    pub(crate) path: &'static str,
    pub(crate) scheme: Box<dyn Scheme>,
    pub(crate) files: Vec<PathBuf>,
}

fn hook(path: &'static str, scheme: impl Scheme, files: Vec<PathBuf>) -> Hook {
    assert!(files.iter().all(|file| file.exists()), "{files:?}");
    Hook { path, scheme: Box::new(scheme), files }
}

pub(crate) fn hooks() -> Vec<Hook> {
    let secret = || Secret::new(SECRET);
    let mindee = || mindee::signature(secret());
    let token = || QueryToken::new("token", Secret::new(TOKEN));
    let standard = || StandardWebhooks::new(secret());
    let header = HeaderName::from_static("x-webhook-secret");
    let fal_key = Ed25519Key::private(&hex::decode(FAL_PRIVATE).unwrap()).unwrap();
    vec![
        hook(EXTRACTION, mindee(), mindee_v2("extraction", ours("mindee"))),
        hook("/hooks/mindee/classification", mindee(), mindee_v2("classification", failed())),
        hook("/hooks/mindee/crop", mindee(), mindee_v2("crop", failed())),
        hook("/hooks/mindee/split", mindee(), mindee_v2("split", failed())),
        hook("/hooks/mindee/ocr", mindee(), mindee_v2("ocr", failed())),
        hook("/hooks/mindee-v1", mindee_v1::signature(secret()), mindee_v1_files()),
        hook(IMAGE_GROUP, token(), ours("foxyai")),
        hook("/hooks/foxyai/image", token(), Vec::new()),
        hook("/hooks/standard", standard(), ours("standard")),
        hook("/hooks/replicate", standard(), ours("replicate")),
        hook("/hooks/baseten", Baseten::scheme(secret().into()), ours("baseten")),
        hook("/hooks/assemblyai", HeaderToken::new(header, Secret::new(TOKEN)), ours("assemblyai")),
        hook("/hooks/fal", fal::signature(fal_key), ours("fal")),
    ]
}

/// The payloads of a Mindee V2 product: its results, and failures, which are the same for all products.
fn mindee_v2(product: &str, mut ours: Vec<PathBuf>) -> Vec<PathBuf> {
    ours.extend(real(&format!("mindee/v2/{product}")));
    ours.extend(real("mindee/v2/webhook"));
    ours
}

fn mindee_v1_files() -> Vec<PathBuf> {
    let mut files = ours("mindee_v1");
    files.extend(real("mindee/v1"));
    files
}

fn ours(folder: &str) -> Vec<PathBuf> {
    let files = json_files(&own_fixtures().join(folder)).unwrap();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

fn failed() -> Vec<PathBuf> {
    vec![own_fixtures().join("mindee/failed.json")]
}

fn own_fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn real(folder: &str) -> Vec<PathBuf> {
    real_payloads(folder).unwrap_or_default()
}

/// Returns real payloads of providers, which are not part of this repository. If they are missing, returns `None` with
/// a note, or panics in CI.
fn real_payloads(folder: &str) -> Option<Vec<PathBuf>> {
    let root = real_fixtures();
    let Some(files) = json_files(&root.join(folder)) else {
        assert!(env::var_os("CI").is_none(), "there are no payloads in {}", root.display());
        eprintln!("not tested with real payloads: there is no {}", root.join(folder).display());
        return None;
    };
    assert!(!files.is_empty(), "{folder} is empty");
    Some(files)
}

/// Returns the JSON files, sorted by name, or `None` if the folder does not exist.
fn json_files(folder: &Path) -> Option<Vec<PathBuf>> {
    let files = fs::read_dir(folder).ok()?.map(|file| file.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let mut files: Vec<_> = json.collect();
    files.sort();
    Some(files)
}

fn real_fixtures() -> PathBuf {
    env::var_os("INBOX_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"),
        PathBuf::from,
    )
}

/// Returns all JSON files in a folder and its subfolders.
fn all_json_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found: BTreeSet<_> = json_files(folder).unwrap_or_default().into_iter().collect();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_json_below(&path));
        }
    }
    found
}

#[test]
fn every_real_payload_is_posted_or_listed_as_never_posted() {
    let posted = hooks().into_iter().flat_map(|hook| hook.files);
    let root = real_fixtures();
    if !root.is_dir() {
        // In CI, `hooks` has already panicked.
        return;
    }
    let mut told: BTreeSet<_> = posted.filter(|file| file.starts_with(&root)).collect();
    for never in NEVER_POSTED.map(|never| root.join(never)) {
        assert!(told.insert(never.clone()), "{} is posted", never.display());
    }
    assert_eq!(told, all_json_below(&root));
}
