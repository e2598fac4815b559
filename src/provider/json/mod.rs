//! Decoding of JSON payloads: open structs and enums, which keep unknown members and values, and the tolerant reading of
//! malformed metadata.

mod any_json;
pub(crate) mod json_path;
mod listed;
mod members;

pub(in crate::provider) mod open_enum;
pub(in crate::provider) mod open_struct;
mod other_members;
mod text;
pub(in crate::provider) mod tolerant;
pub(in crate::provider) mod unknown;

pub(in crate::provider) use any_json::{ARBITRARY_NUMBER, AnyJson, Shallow, any_json};
pub use listed::Listed;
pub(in crate::provider) use members::{
    Absent, Given, Name, Over, empty, first, id_text, last_ids, object_or_null, once,
    once_or_empty, once_strict, or_null, unless_null,
};
pub(in crate::provider) use open_enum::open_enum;
pub(in crate::provider) use open_struct::open_struct;
pub(in crate::provider) use other_members::Keep;
pub use other_members::OtherMembers;
pub use text::{Redacted, Text};
pub use tolerant::Tolerated;
