/// Writes a struct of fields, every one of which may be absent, and keeps those that it does not name.
macro_rules! schema {
    ($(#[$doc:meta])* pub struct $name:ident { $($field:ident $(= $wire:literal)?: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
        #[non_exhaustive]
        pub struct $name {
            $(
                #[doc = concat!("The field `", $crate::provider::members::wire_name!($field $($wire)?), "`.")]
                #[serde($(rename = $wire,)? skip_serializing_if = "crate::provider::mindee::catalogue::schema::is_default")]
                pub $field: $type,
            )+
            /// Fields that the catalogue does not know.
            #[serde(flatten, skip_serializing_if = "crate::provider::known::hidden")]
            pub other: $crate::provider::mindee::Fields,
        }

        $crate::provider::members::open_struct! { default $name { $($field $(= $wire)?),+ } }
    };
}

pub(super) use schema;

pub(super) fn is_default<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}
