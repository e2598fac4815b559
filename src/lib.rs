#![doc = "Tower layers that receive the results of hosted models by webhook."]

pub mod archive;
pub mod delivery;
pub mod provider;
pub mod signature;

pub use archive::{Archive, MemoryArchive};
pub use delivery::{Delivery, DeliveryId, Digest, ModelName, Outcome, Receipt};
pub use provider::{Inference, Model};
pub use signature::Secret;
