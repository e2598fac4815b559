/// Implements `Deserialize` for a struct that is a JSON object: in one pass, with unknown members in `other`. Repeated
/// members are errors.
///
/// The derive of serde requires `flatten` for unknown members, which first copies the whole object.
///
/// ```ignore
/// open_struct! { Processed<R> { id, file, kind = "type" | "kind" } strict { result } }
/// open_struct! { nullable File { name, mime_type } }
/// open_struct! { or_id Image { url } }
/// open_struct! { or_empty List<T> { confidence } strict { items } }
/// open_struct! { default Invoice { total } }
/// ```
///
/// An absent member is an error, unless its type can be decoded from null, like an `Option`. In a tolerant reading, the
/// same holds for an invalid member. Members after `strict` contain the user's types, and are always decoded strictly.
/// Prefixes: `nullable`: the object can be null or absent, which is the same as an object without members. `or_id`: the
/// object can be a string, which is passed to `of_id`. `or_empty`: the object and the member after `strict` can be
/// null, which is an empty list or object. `default`: absent and null members have their default, and all members are
/// strict. A member after a semicolon is not decoded.
macro_rules! open_struct {
    (default $name:ident { $($members:tt)+ }) => {
        $crate::provider::json::open_struct::open_struct! {
            @or_default only_object once_strict $name [] { $($members)+ } {}
        }
    };
    (nullable $name:ident { $($members:tt)+ }) => {
        $crate::provider::json::open_struct::open_struct! {
            @or_null nullable once_strict $name [] { $($members)+ } {}
        }
    };
    (or_id $name:ident { $($members:tt)+ }) => {
        $crate::provider::json::open_struct::open_struct! {
            @or_null or_id once_strict $name [] { $($members)+ } {}
        }
    };
    (or_empty $name:ident <$type:ident> { $($members:tt)+ } strict { $($strict:tt)+ }) => {
        $crate::provider::json::open_struct::open_struct! {
            @or_null or_empty once_or_empty $name [$type] { $($members)+ } { $($strict)+ }
        }
    };
    ($name:ident $(<$($type:ident),+>)? { $($members:tt)* } $(strict { $($strict:tt)+ })?) => {
        $crate::provider::json::open_struct::open_struct! {
            @or_null only_object once_strict $name [$($($type),+)?] { $($members)* } { $($($strict)+)? }
        }
    };
    (@$absent:ident $instead:ident $once:ident $name:ident [$($type:ident),*] { $($members:tt)* } { $($strict:tt)* }) => {
        impl<'de, $($type: serde::Deserialize<'de>),*> serde::Deserialize<'de> for $name<$($type),*> {
            fn deserialize<Json: serde::Deserializer<'de>>(json: Json) -> Result<Self, Json::Error> {
                struct Members<T>(std::marker::PhantomData<T>);

                impl<'de, $($type: serde::Deserialize<'de>),*> serde::de::Visitor<'de> for Members<$name<$($type),*>> {
                    type Value = $name<$($type),*>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A>(self, mut json: A) -> Result<Self::Value, A::Error>
                    where
                        A: serde::de::MapAccess<'de>,
                    {
                        $crate::provider::json::open_struct::$absent! { $name json $once { $($members)* } { $($strict)* } }
                    }

                    $crate::provider::json::open_struct::instead_of_object! { $instead $name }
                }

                $crate::provider::json::open_struct::begin! { $instead json Members(std::marker::PhantomData) }
            }
        }
    };
}

/// Starts to decode an object, or its alternative.
macro_rules! begin {
    (only_object $json:ident $visitor:expr) => {
        $json.deserialize_map($visitor)
    };
    (nullable $json:ident $visitor:expr) => {
        $json.deserialize_option($visitor)
    };
    (or_empty $json:ident $visitor:expr) => {
        $crate::provider::json::object_or_null($json, $visitor)
    };
    (or_id $json:ident $visitor:expr) => {
        $json.deserialize_any($visitor)
    };
}

/// Decodes the alternative to an object: its id, null, or nothing.
macro_rules! instead_of_object {
    (only_object $name:ident) => {};
    (or_id $name:ident) => {
        fn visit_str<E>(self, id: &str) -> Result<Self::Value, E> {
            Ok($name::of_id(id))
        }
    };
    (or_empty $name:ident) => {
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            $name::empty()
        }
    };
    (nullable $name:ident) => {
        fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            self.visit_map(serde::de::value::MapDeserializer::<_, E>::new(std::iter::empty::<(
                &str,
                (),
            )>()))
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            self.visit_none()
        }

        fn visit_some<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
            json.deserialize_map(self)
        }
    };
}

/// Decodes the members into variables, and creates the struct from them.
macro_rules! or_null {
    (
        $name:ident $map:ident $once:ident
        { $($member:ident $(= $wire:literal $(| $alias:literal)*)?),* $(,)? $(; $unread:ident)? }
        { $($strict:ident $(= $strict_wire:literal)?),* $(,)? }
    ) => {{
        use $crate::provider::json::{self, Keep, open_struct};
        $(let mut $member = None;)*
        $(let mut $strict = None;)*
        let mut other = Default::default();
        while let Some(name) = $map.next_key::<json::Name<'de>>()? {
            match &*name {
                $(open_struct::wire_name!($member $($wire)?) $($(| $alias)*)? => {
                    json::once(&mut $member, open_struct::wire_name!($member $($wire)?), &mut $map)?;
                })*
                $(open_struct::wire_name!($strict $($strict_wire)?) => {
                    json::$once(&mut $strict, open_struct::wire_name!($strict $($strict_wire)?), &mut $map)?;
                })*
                unknown => Keep::keep(&mut other, unknown, &mut $map)?,
            }
        }
        Ok($name {
            $($member: json::or_null($member, open_struct::wire_name!($member $($wire)?))?,)*
            $($strict: json::or_null($strict, open_struct::wire_name!($strict $($strict_wire)?))?,)*
            $($unread: Default::default(),)?
            other,
        })
    }};
}

/// Decodes the members into an existing struct, because moving large structs costs time.
macro_rules! or_default {
    ($name:ident $map:ident $once:ident { $($member:ident $(= $wire:literal)?),+ $(,)? } {}) => {{
        use $crate::provider::json::{self, Keep, open_struct};
        let mut read = $name::default();
        $(let mut $member = false;)+
        while let Some(name) = $map.next_key::<json::Name<'de>>()? {
            match &*name {
                $(open_struct::wire_name!($member $($wire)?) => {
                    json::first(&mut $member, open_struct::wire_name!($member $($wire)?))?;
                    $map.next_value_seed(json::Over(&mut read.$member))?;
                })+
                unknown => Keep::keep(&mut read.other, unknown, &mut $map)?,
            }
        }
        Ok(read)
    }};
}

macro_rules! wire_name {
    ($member:ident) => {
        stringify!($member)
    };
    ($member:ident $wire:literal) => {
        $wire
    };
}

pub(in crate::provider) use {
    begin, instead_of_object, open_struct, or_default, or_null, wire_name,
};

#[cfg(test)]
mod tests {
    use crate::provider::{Listed, OtherMembers};

    #[derive(Debug, PartialEq)]
    struct Thing {
        size: u8,
        note: Option<u8>,
        parts: Listed<u8>,
        kind: Option<u8>,
        other: OtherMembers,
    }

    open_struct! { Thing { size, note, parts, kind = "type" } }

    #[derive(Debug, Default)]
    struct Sparse {
        size: u8,
        other: OtherMembers,
    }

    open_struct! { default Sparse { size } }

    fn read(json: &str) -> Result<Thing, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn only_members_that_are_not_nullable_are_required() {
        let least = read(r#"{"size": 1}"#).unwrap();
        assert_eq!(least, read(r#"{"note": null, "parts": null, "size": 1}"#).unwrap());
        assert!(read("{}").unwrap_err().contains("missing field `size`"));
        assert!(read("[1]").unwrap_err().contains("expected an object"));
        for nothing in ["{}", r#"{"size": null}"#] {
            assert_eq!(serde_json::from_str::<Sparse>(nothing).unwrap().size, 0);
        }
    }

    #[test]
    fn unknown_members_are_kept_and_repeated_members_are_errors() {
        let thing = read(r#"{"si\u007ae": 1, "type": 2, "n\u0065w": [1], "kind": 3}"#).unwrap();
        assert_eq!(thing.kind, Some(2));
        assert_eq!(thing.other.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["new", "kind"]);
        assert!(read(r#"{"size": 1, "size": 1}"#).unwrap_err().contains("duplicate field `size`"));
        let sparse: Sparse = serde_json::from_str(r#"{"a": 1}"#).unwrap();
        assert_eq!(sparse.other.get("a"), Some(&1.into()));
    }
}
