use super::{
    kind::{Kind, Members},
    name,
};

/// A struct to be written.
#[derive(Debug, PartialEq)]
pub(super) struct Struct {
    pub(super) name: String,
    pub(super) members: Vec<Member>,
}

/// A member of a struct.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    /// What it is called in Rust.
    pub(super) name: String,
    /// What it is called in JSON, if that is something else.
    pub(super) renamed: Option<String>,
    pub(super) of_type: String,
    /// What the sample does not tell.
    pub(super) remark: Option<&'static str>,
}

/// The struct of this name and those that it needs, itself first.
pub(super) fn all(name: &str, members: &Members) -> Vec<Struct> {
    let mut structs = Structs::default();
    structs.add(name, members);
    structs.all
}

#[derive(Default)]
struct Structs {
    all: Vec<Struct>,
    /// After which name and which members of the sample each is made.
    made_after: Vec<(String, Members)>,
}

impl Structs {
    /// What the struct for an object of this name is called. The same object is the same struct wherever it stands.
    fn of(&mut self, json: &str, members: &Members) -> String {
        let same = |(name, known): &(String, Members)| name == json && known == members;
        match self.made_after.iter().position(same).and_then(|at| self.all.get(at)) {
            Some(known) => known.name.clone(),
            None => self.add(json, members),
        }
    }

    fn add(&mut self, json: &str, members: &Members) -> String {
        let name = name::of_struct(json, |name| self.all.iter().any(|known| known.name == name));
        let at = self.all.len();
        // Its name is taken, and its place, before those that it needs have theirs.
        self.all.push(Struct { name: name.clone(), members: Vec::new() });
        self.made_after.push((json.to_owned(), members.clone()));
        let mut written = Vec::new();
        for (json, kind) in members {
            let member = self.member(json, kind, &written);
            written.push(member);
        }
        if let Some(added) = self.all.get_mut(at) {
            added.members = written;
        }
        name
    }

    fn member(&mut self, json: &str, kind: &Kind, before: &[Member]) -> Member {
        let taken: Vec<_> = before.iter().map(|member| name::bare(&member.name)).collect();
        let name = name::member(json, &taken);
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
