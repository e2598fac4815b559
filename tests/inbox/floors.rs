//! The floors of ARCHITECTURE.md: a module imports only from its own floor or a lower one.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The floors, by the path below `src`. The first match applies.
const FLOORS: [(&str, u8); 20] = [
    ("delivery/", 0),
    ("signature/", 0),
    ("metrics/", 1),
    ("latency/", 1),
    ("log_limit", 1),
    ("supervise", 1),
    ("provider/", 1),
    ("archive/disk/", 2),
    ("archive/postgres/", 2),
    ("archive/", 1),
    ("process/", 3),
    ("layer/", 4),
    ("worker/", 4),
    ("inbox/", 5),
    ("axum", 6),
    ("simulate/", 6),
    ("page/", 6),
    ("testing/", 6),
    ("lib.rs", 9),
    ("", 9),
];

/// Exempt files: they list the engines without using them.
const LISTS: [&str; 1] = ["archive/mod.rs"];

fn floor(path: &str) -> u8 {
    FLOORS.iter().find(|(prefix, _)| path.starts_with(prefix)).unwrap().1
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Returns the module paths after each `crate::` of a line. Brace groups are expanded one level deep.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(path_of(rest)),
            Some(group) => found.extend(members(group).iter().map(|member| path_of(member))),
        }
    }
    found
}

/// Returns the members of a brace group, without the members of nested groups.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut members) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ => {}
        }
        if c != ',' || depth > 0 {
            members.last_mut().unwrap().push(c);
        }
    }
    members.retain(|member| !member.trim().is_empty());
    members
}

fn path_of(text: &str) -> String {
    let path = text.trim_start();
    let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    path[..end.unwrap_or(path.len())].trim_end_matches(':').replace("::", "/") + "/"
}

fn without_comments(code: &str) -> String {
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_module_imports_from_a_floor_above() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 40, "only {} files: is this the right folder?", files.len());
    let mut upward = Vec::new();
    for file in files {
        let name = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        if name.contains("/tests/") {
            continue;
        }
        let code = without_comments(&fs::read_to_string(&file).unwrap());
        for import in imports(&code) {
            if floor(&import) > floor(&name) && !LISTS.contains(&name.as_str()) {
                upward.push(format!("{name} imports crate::{import}"));
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn every_form_of_import_is_found() {
    let code = "use crate::{a::B, c::{d::E, f}, g,};\nlet x = crate::h::I::new();\nuse crate::j;";
    assert_eq!(imports(code), ["a/B/", "c/", "g/", "h/I/new/", "j/"]);
}
