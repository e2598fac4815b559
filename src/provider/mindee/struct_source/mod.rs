//! Generates structs for the fields of a custom Mindee model.

mod name;

use std::{
    collections::HashSet,
    fmt::{self, Write},
};

use super::{AnyField, Fields, Value};

/// Generates the source of a Rust struct, and of those that it needs, for the fields in a sample.
///
/// The structs implement [`Deserialize`](serde::Deserialize), as the type parameter of
/// [`Extraction`](super::Extraction) has to. The type of a field that is null, or of an empty list, is a guess, marked
/// with a comment. The command `inbox model` prints the same source. Features `cli` and `page`.
///
/// The cost grows with the square of the number of fields: limit it for samples of unknown origin.
///
/// ```
/// use tower_inbox::provider::mindee::{Fields, struct_source};
///
/// let fields: Fields = serde_json::from_str(r#"{"total_amount": {"value": 12.5}}"#)?;
/// let source = struct_source("invoice", &fields);
/// assert!(source.contains("pub struct Invoice {"));
/// assert!(source.contains("pub total_amount: Field<f64>,"));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn struct_source(name: &str, sample: &Fields) -> String {
    let structs = all(name, &members(sample));
    // Writing to a string cannot fail.
    file(&structs).unwrap_or_default()
}

/// A struct to generate.
#[derive(Debug, PartialEq)]
struct Struct {
    name: String,
    members: Vec<Member>,
}

/// A field of a struct.
#[derive(Debug, PartialEq)]
struct Member {
    /// Its name in Rust.
    name: String,
    /// Its name in JSON, if different.
    renamed: Option<String>,
    of_type: String,
    /// A comment where the type is a guess.
    remark: Option<&'static str>,
}

/// The struct with this name, followed by those that its fields need.
fn all(name: &str, members: &Members) -> Vec<Struct> {
    let mut structs = Structs::default();
    structs.add(name, members);
    structs.all
}

#[derive(Default)]
struct Structs {
    all: Vec<Struct>,
    names: HashSet<String>,
    /// The name and members in the sample that each struct is generated for.
    sources: Vec<(String, Members)>,
}

impl Structs {
    /// The name of the struct for an object with this name. Equal objects share a struct.
    fn of(&mut self, json: &str, members: &Members) -> String {
        let same = |(name, known): &(String, Members)| name == json && known == members;
        match self.sources.iter().position(same).and_then(|at| self.all.get(at)) {
            Some(known) => known.name.clone(),
            None => self.add(json, members),
        }
    }

    fn add(&mut self, json: &str, members: &Members) -> String {
        let name = name::of_struct(json, |name| self.names.contains(name));
        self.names.insert(name.clone());
        let at = self.all.len();
        // Reserves the name and the place before those of the structs that it needs.
        self.all.push(Struct { name: name.clone(), members: Vec::new() });
        self.sources.push((json.to_owned(), members.clone()));
        let (mut written, mut taken) = (Vec::new(), HashSet::new());
        for (json, kind) in members {
            let member = self.member(json, kind, &taken);
            taken.insert(name::bare(&member.name).to_owned());
            written.push(member);
        }
        if let Some(added) = self.all.get_mut(at) {
            added.members = written;
        }
        name
    }

    fn member(&mut self, json: &str, kind: &Kind, taken: &HashSet<String>) -> Member {
        let name = name::member(json, |name| taken.contains(name));
        let of_type = match kind {
            Kind::AnyField => "Option<AnyField>".to_owned(),
            _ => self.type_of(json, kind),
        };
        let renamed = (name::bare(&name) != json).then(|| json.to_owned());
        Member { name, renamed, of_type, remark: remark(kind) }
    }

    fn type_of(&mut self, json: &str, kind: &Kind) -> String {
        match kind {
            Kind::Null | Kind::Text => "Field<String>".to_owned(),
            Kind::Number => "Field<f64>".to_owned(),
            Kind::Bool => "Field<bool>".to_owned(),
            Kind::AnyValue => "Field<Value>".to_owned(),
            Kind::AnyField => "AnyField".to_owned(),
            Kind::Object(members) => format!("Object<{}>", self.of(json, members)),
            Kind::List(Some(items)) => format!("List<{}>", self.type_of(json, items)),
            Kind::List(None) => "List<Field<String>>".to_owned(),
        }
    }
}

fn remark(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Null => Some("Null in the sample: the type is a guess."),
        Kind::List(None) => Some("Empty in the sample: the type is a guess."),
        Kind::List(Some(items)) if **items == Kind::Null => {
            Some("Only null in the sample: the type is a guess.")
        }
        _ => None,
    }
}

/// The types of the Mindee module that generated code may use.
const TYPES: [&str; 5] = ["AnyField", "Field", "List", "Object", "Value"];

/// A source file with these structs, formatted as by rustfmt.
fn file(structs: &[Struct]) -> Result<String, fmt::Error> {
    let mut text = "use serde::{Deserialize, Serialize};\n".to_owned();
    let types: Vec<_> = TYPES.into_iter().filter(|name| uses(structs, name)).collect();
    match types.as_slice() {
        [] => {}
        [only] => writeln!(text, "use tower_inbox::provider::mindee::{only};")?,
        _ => writeln!(text, "use tower_inbox::provider::mindee::{{{}}};", types.join(", "))?,
    }
    for one in structs {
        write_struct(&mut text, one)?;
    }
    Ok(text)
}

fn uses(structs: &[Struct], name: &str) -> bool {
    let mut members = structs.iter().flat_map(|one| &one.members);
    members.any(|member| member.of_type.split(['<', '>']).any(|word| word == name))
}

fn write_struct(text: &mut String, one: &Struct) -> fmt::Result {
    writeln!(text, "\n#[derive(Clone, Debug, Default, Deserialize, Serialize)]")?;
    if one.members.is_empty() {
        return writeln!(text, "pub struct {} {{}}", one.name);
    }
    writeln!(text, "pub struct {} {{", one.name)?;
    for member in &one.members {
        write_member(text, member)?;
    }
    writeln!(text, "}}")
}

fn write_member(text: &mut String, member: &Member) -> fmt::Result {
    if let Some(remark) = member.remark {
        writeln!(text, "    // {remark}")?;
    }
    match &member.renamed {
        // `Debug` escapes a string as a Rust literal does.
        Some(json) => writeln!(text, "    #[serde(default, rename = {json:?})]")?,
        None => writeln!(text, "    #[serde(default)]")?,
    }
    writeln!(text, "    pub {}: {},", member.name, member.of_type)
}

/// The type of a field, as far as the sample shows it.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
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
type Members = Vec<(String, Kind)>;

fn members(fields: &Fields) -> Members {
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
