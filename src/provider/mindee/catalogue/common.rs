use crate::provider::{Text, mindee::Field};

/// Defines a struct of optional fields that keeps unknown fields.
macro_rules! schema {
    ($(#[$doc:meta])* pub struct $name:ident { $($field:ident $(= $wire:literal)?: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
        #[non_exhaustive]
        pub struct $name {
            $(
                #[doc = concat!("The field `", $crate::provider::json::open_struct::wire_name!($field $($wire)?), "`.")]
                #[serde($(rename = $wire,)? skip_serializing_if = "crate::provider::mindee::catalogue::common::is_default")]
                pub $field: $type,
            )+
            /// Unknown fields.
            #[serde(flatten, skip_serializing_if = "crate::provider::json::unknown::hide")]
            pub other: $crate::provider::mindee::Fields,
        }

        $crate::provider::json::open_struct::open_struct! { default $name { $($field $(= $wire)?),+ } }
    };
}

pub(super) use schema;

pub(super) fn is_default<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

/// A date in ISO 8601 format, such as `2022-08-23`.
pub type Date = Text;

schema! {
    /// An address.
    pub struct Address {
        street: Field<Text>,
        city: Field<Text>,
        state: Field<Text>,
        postal_code: Field<Text>,
        country: Field<Text>,
    }
}

schema! {
    /// A printed address and its parts.
    pub struct PostalAddress {
        address: Field<Text>,
        street_number: Field<Text>,
        street_name: Field<Text>,
        po_box: Field<Text>,
        address_complement: Field<Text>,
        city: Field<Text>,
        postal_code: Field<Text>,
        state: Field<Text>,
        country: Field<Text>,
    }
}

schema! {
    /// The locale of a document.
    pub struct Locale {
        language: Field<Text>,
        country: Field<Text>,
        currency: Field<Text>,
    }
}
