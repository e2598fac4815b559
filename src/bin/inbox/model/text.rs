use std::fmt::{self, Write};

use super::structs::{Member, Struct};

/// What of Mindee's types may be used.
const TYPES: [&str; 5] = ["AnyField", "Field", "List", "Object", "Value"];

/// The text of a file with these structs, as rustfmt would write it.
pub(super) fn file(structs: &[Struct]) -> Result<String, fmt::Error> {
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
        // The escapes of `Debug` are those of a literal.
        Some(json) => writeln!(text, "    #[serde(default, rename = {json:?})]")?,
        None => writeln!(text, "    #[serde(default)]")?,
    }
    writeln!(text, "    pub {}: {},", member.name, member.of_type)
}
