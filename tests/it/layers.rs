//! The direction rule of the house: a file uses only what stands below it.

use std::{fs, path::Path};

/// From top to bottom. Leaves that everybody may use stand last.
const HOUSE: [&str; 20] = [
    "main",
    "cli",
    "app",
    "load",
    "mock_llm",
    "http",
    "ws",
    "hub",
    "auth",
    "dialect",
    "session",
    "run",
    "limits",
    "llm",
    "knowledge",
    "store",
    "telemetry",
    "config",
    "chat",
    "lib",
];

#[test]
fn nothing_flows_back_up() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    visit(&src, &mut |path| {
        let relative = path.strip_prefix(&src).unwrap().with_extension("");
        let module = relative.iter().next().unwrap().to_str().unwrap().to_owned();
        let floor = |name: &str| HOUSE.iter().position(|m| *m == name);
        let own = floor(&module).unwrap_or_else(|| panic!("`{module}` has no place in the house"));
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap(); // Tests may build what they need.
        if module == "lib" || path.ends_with("tests.rs") {
            return;
        }
        for used in uses(text) {
            let Some(other) = floor(&used) else { continue };
            seen += 1;
            assert!(other >= own, "{} uses {used}, which stands above it", relative.display());
        }
    });
    assert!(seen > 100, "only {seen} uses found: is the search broken?");
}

/// The first segments of every `crate::…` path, groups included.
fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + 7..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut start = true;
            let mut name = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && (c == ',' || c == '{' || c == '}') {
                    start = true;
                } else if start && (c.is_alphanumeric() || c == '_') {
                    name.push(c);
                } else if !name.is_empty() {
                    found.push(std::mem::take(&mut name));
                    start = false;
                }
            }
            if !name.is_empty() {
                found.push(name);
            }
        } else {
            found.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
}

fn visit(folder: &Path, check: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, check);
        } else {
            check(&path);
        }
    }
}
