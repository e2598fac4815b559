//! The recorder, without effect.

use std::time::Duration;

use crate::delivery::ModelName;

#[derive(Debug, Default)]
pub(crate) struct Latencies {}

impl Latencies {
    #[expect(clippy::unused_self, reason = "the signature is that of the recorder with effect")]
    pub(crate) fn record(&self, _: &ModelName, _: Option<Duration>, _: Duration) {}
}
