//! The types of the fields of a sample.

use tower_inbox::provider::mindee::{AnyField, Fields, Value};

/// The type of a field, as far as the sample shows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Every value is null.
    Null,
    Text,
    Number,
    Bool,
    /// Values of several types.
    AnyValue,
    Object(Members),
    /// The kind of all items; None for an empty list.
    List(Option<Box<Kind>>),
    /// Values as well as objects or lists.
    AnyField,
}

/// Names and kinds, in the order of the sample.
pub(super) type Members = Vec<(String, Kind)>;

pub(super) fn members(fields: &Fields) -> Members {
    fields.iter().map(|(name, field)| (name.to_owned(), kind(field))).collect()
}

fn kind(field: &AnyField) -> Kind {
    match field {
        AnyField::Simple(field) => field.value.as_ref().map_or(Kind::Null, of_value),
        AnyField::Object(object) => Kind::Object(members(&object.fields)),
        AnyField::List(list) => Kind::List(list.iter().map(kind).reduce(both).map(Box::new)),
        _ => Kind::AnyField,
    }
}

fn of_value(value: &Value) -> Kind {
    match value {
        Value::String(_) => Kind::Text,
        Value::Number(_) => Kind::Number,
        Value::Bool(_) => Kind::Bool,
        _ => Kind::AnyValue,
    }
}

/// The most specific kind that covers both.
fn both(one: Kind, other: Kind) -> Kind {
    use Kind::{AnyField, AnyValue, Bool, List, Null, Number, Object, Text};
    match (one, other) {
        (one, other) if one == other => one,
        (Null, kind @ (Text | Number | Bool | AnyValue))
        | (kind @ (Text | Number | Bool | AnyValue), Null) => kind,
        (Text | Number | Bool | AnyValue, Text | Number | Bool | AnyValue) => AnyValue,
        (Object(one), Object(other)) => Object(union(one, other)),
        (List(None), List(items)) | (List(items), List(None)) => List(items),
        (List(Some(one)), List(Some(other))) => List(Some(Box::new(both(*one, *other)))),
        _ => AnyField,
    }
}

fn union(mut members: Members, others: Members) -> Members {
    for (name, kind) in others {
        match members.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = both(std::mem::replace(known, Kind::Null), kind),
            None => members.push((name, kind)),
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_items(items: &str) -> Kind {
        let json = format!(r#"{{"list": {{"items": [{items}]}}}}"#);
        let (_, kind) = members(&serde_json::from_str(&json).unwrap()).remove(0);
        let Kind::List(items) = kind else { panic!("{kind:?} is not a list") };
        items.map_or(Kind::Null, |kind| *kind)
    }

    #[test]
    fn kind_of_a_list_covers_all_items() {
        let null = r#"{"value": null}"#;
        assert_eq!(of_items(&format!(r#"{null}, {{"value": 1}}, {null}"#)), Kind::Number);
        assert_eq!(of_items(r#"{"value": 1}, {"value": "a"}"#), Kind::AnyValue);
        assert_eq!(of_items(r#"{"value": 1}, {"fields": {}}"#), Kind::AnyField);
        let objects = r#"{"fields": {"b": {"value": null}}}, {"fields": {"a": {"value": true}, "b": {"value": 1}}}"#;
        let members = vec![("b".to_owned(), Kind::Number), ("a".to_owned(), Kind::Bool)];
        assert_eq!(of_items(objects), Kind::Object(members));
    }
}
