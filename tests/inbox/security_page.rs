//! The tests named in `docs/security.md` exist.

use std::{fs, path::Path};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the test names on the page: code words with at least four underscores, after the file name if present.
fn named(page: &str) -> Vec<&str> {
    let code = page.split('`').skip(1).step_by(2);
    code.filter_map(|code| code.rsplit("::").next())
        .filter(|word| word.matches('_').count() >= 4)
        .filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect()
}

fn sources(directory: &Path, all: &mut String) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/security.md")).unwrap();
    let mut all = String::new();
    sources(&Path::new(ROOT).join("src"), &mut all);
    sources(&Path::new(ROOT).join("tests"), &mut all);
    let named = named(&page);
    assert!(named.len() > 20, "{named:?}");
    for test in named {
        assert!(all.contains(&format!("fn {test}(")), "no test is named {test}");
    }
}
