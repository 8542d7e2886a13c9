//! The direction rule of the house, twice: a module uses only what stands below it, and no file uses one that uses it.
//!
//! One file uses another when it names something that is written there, whichever way the name goes: `crate::`,
//! `super::`, an import, a glob, a macro's arguments. A name that a file passes on (`pub use`) is followed to where it is
//! written, and to pass on and to declare modules (`mod`) is not to use: so a parent that only does that may be named by
//! its children, and one that has something of its own for them must not use them. What exists in tests alone is not
//! looked at. Methods and fields have no path and are not seen; their types are, where somebody names them.

mod graph;
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

use self::{graph::Uses, source::Modules};

/// From top to bottom. Leaves that everybody may use stand last.
const HOUSE: [&str; 30] = [
    "main",
    "cli",
    "app",
    "backup",
    "load",
    "mock_llm",
    "http",
    "ws",
    "hub",
    "cluster",
    "auth",
    "dialect",
    "session",
    "run",
    "limits",
    "tools",
    "memory",
    "datasets",
    "llm",
    "knowledge",
    "store",
    "ephemeral",
    "telemetry",
    "config",
    "rules",
    "letter",
    "formula",
    "forecast",
    "chat",
    "lib",
];

/// The house's files and what they use of each other.
fn house() -> Uses {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut uses = uses(&src, "lib.rs");
    uses.extend(self::uses(&src, "main.rs").into_iter().filter(|(file, _)| file == Path::new("main.rs")));
    uses
}

fn uses(src: &Path, root: &str) -> Uses {
    let mut modules = Modules::new();
    source::read(src, root, &mut modules);
    graph::uses(&modules)
}

#[test]
fn nothing_flows_back_up() {
    let house = house();
    let floor = |file: &Path| {
        let module = file.with_extension("").iter().next().unwrap().to_str().unwrap().to_owned();
        HOUSE.iter().position(|m| *m == module).unwrap_or_else(|| panic!("`{module}` has no place in the house"))
    };
    let mut seen = 0;
    for (file, used) in house.iter().filter(|(file, _)| *file != Path::new("lib.rs")) {
        for (other, path) in used {
            seen += 1;
            let is_below = floor(other) >= floor(file);
            assert!(is_below, "{} uses {} ({path}), which stands above it", file.display(), other.display());
        }
    }
    assert!(seen > 500, "only {seen} uses found: is the search broken?");
}

#[test]
fn no_file_uses_one_that_uses_it() {
    let house = house();
    assert!(house.len() > 200, "only {} files found: is the search broken?", house.len());
    let circles = graph::circles(&house);
    assert!(circles.is_empty(), "files use each other in circles:\n{}", told(&house, &circles));
}

/// Every use within a circle, one a line.
fn told(uses: &Uses, circles: &[Vec<PathBuf>]) -> String {
    let mut text = String::new();
    for circle in circles {
        for file in circle {
            for (other, path) in uses[file].iter().filter(|(other, _)| circle.contains(other)) {
                text += &format!("{} uses {} ({path})\n", file.display(), other.display());
            }
        }
        text += "\n";
    }
    text
}

/// Who uses whom in a crate of these files.
fn used(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let uses = uses(folder.path(), "lib.rs");
    let pairs = uses.iter().flat_map(|(file, used)| used.keys().map(move |other| (file, other)));
    pairs.map(|(file, other)| format!("{} {}", file.display(), other.display())).collect()
}

#[test]
fn uses_are_found_whichever_way_a_name_goes() {
    let a = "pub struct A; pub const N: u8 = 1;";
    for b in [
        "use crate::a::A;",
        "use super::a::{self, N as M};",
        "fn f() -> super::a::A {}",
        "use crate::{c::{D}, a}; fn f() { a::N }",
        "fn f() { join!(x, crate::a::N) }",
        "use crate::*; fn f() { a::N }",
        "mod inner { use super::super::a::A; }",
        "use crate::passed::A;",
        "use crate::passed::Renamed;",
        "use crate::all::N;",
    ] {
        let files = [
            ("lib.rs", "mod a; mod b; mod passed; mod all;"),
            ("a.rs", a),
            ("b.rs", b),
            ("passed.rs", "pub use crate::a::A; pub(crate) use super::a::A as Renamed;"),
            ("all.rs", "pub use crate::a::*;"),
        ];
        assert!(used(&files).contains(&"b.rs a.rs".to_owned()), "{b}: {:?}", used(&files));
        let passing = ["passed.rs a.rs", "all.rs a.rs", "b.rs passed.rs", "b.rs all.rs"];
        assert!(!used(&files).iter().any(|pair| passing.contains(&pair.as_str())), "{b}: {:?}", used(&files));
    }
}

#[test]
fn what_is_no_use_is_not_taken_for_one() {
    for b in [
        "//! See [`crate::a::A`].",
        r#"const TEXT: &str = "crate::a::A"; // crate::a::A"#,
        "pub(super) fn f(a: u8) -> u8 { a.a::<u8>() }",
        "#[cfg(test)] mod tests { use crate::a::A; }",
        "#[cfg(test)] use crate::{a::A};",
        "fn f(x: other::a::A) {}",
    ] {
        assert_eq!(used(&[("lib.rs", "mod a; mod b;"), ("a.rs", "pub struct A;"), ("b.rs", b)]), [""; 0], "{b}");
    }
}

#[test]
fn a_parent_may_pass_on_what_its_children_share_but_not_have_it() {
    let child = ("p/child.rs", "use super::Shared; pub fn f(_: Shared) {}");
    let shared = ("p/shared.rs", "pub struct Shared;");
    let passes_on = [
        ("lib.rs", "mod p;"),
        ("p.rs", "mod child; mod shared; pub use shared::Shared; pub use child::f;"),
        child,
        shared,
    ];
    assert_eq!(used(&passes_on), ["p/child.rs p/shared.rs"]);
    let has = [("lib.rs", "mod p;"), ("p.rs", "mod child; pub struct Shared; fn g() { child::f(Shared) }"), child];
    assert_eq!(used(&has), ["p/child.rs p.rs", "p.rs p/child.rs"]);
}

#[test]
fn circles_are_found_however_long() {
    let circle = |files: &[(&str, &str)]| {
        let pairs = used(files);
        let mut uses = Uses::new();
        for pair in &pairs {
            let (file, other) = pair.split_once(' ').unwrap();
            uses.entry(file.into()).or_default().insert(other.into(), String::new());
        }
        graph::circles(&uses).len()
    };
    let lib = ("lib.rs", "mod a; mod b; mod c;");
    let (a, b) = (("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", "use crate::c::C; pub struct B;"));
    assert_eq!(circle(&[lib, a, b, ("c.rs", "pub struct C;")]), 0);
    assert_eq!(circle(&[lib, a, b, ("c.rs", "use super::a::A; pub struct C;")]), 1);
}
