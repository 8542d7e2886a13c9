//! Which file uses which, and where that goes round in a circle.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::PathBuf,
};

use super::source::Modules;

/// Every file, with the files that it uses and one path by which it does.
pub(super) type Uses = BTreeMap<PathBuf, BTreeMap<PathBuf, String>>;

/// Follows every path to the file in which what it names is written.
pub(super) fn uses(modules: &Modules) -> Uses {
    let mut uses = Uses::new();
    for (at, module) in modules {
        let used = uses.entry(module.file.clone()).or_default();
        for path in &module.paths {
            if let Some(target) =
                resolve(modules, at, path, false, &mut Asked::new()).filter(|target| *target != module.file)
            {
                used.entry(target).or_insert_with(|| path.join("::"));
            }
        }
    }
    uses
}

/// What was looked for already, and where: two modules that pass on all of each other lead nowhere.
type Asked = HashSet<(String, Vec<String>)>;

/// The file of what `path` means in the module `at`; `None`: nothing of this crate. `strictly`: only when it is found
/// there, and not when a macro may have made it.
fn resolve(modules: &Modules, at: &str, path: &[String], strictly: bool, asked: &mut Asked) -> Option<PathBuf> {
    const LONGEST: usize = 16; // Longer ones come of imports that are called like what they are imported from.
    if path.len() > LONGEST || !asked.insert((at.to_owned(), path.to_owned())) {
        return None;
    }
    let (first, mut rest) = path.split_first()?;
    let (mut at, mut strictly) = match first.as_str() {
        "crate" | "rivulet" => ("crate", strictly),
        "self" => (at, strictly),
        "super" => (at.rsplit_once("::")?.0, strictly),
        // A name of this module, or one of another crate or of the language.
        _ => (at, true),
    };
    if !matches!(first.as_str(), "crate" | "rivulet" | "self" | "super") {
        rest = path;
    }
    while let Some((segment, further)) = rest.split_first() {
        let module = &modules[at];
        if segment == "super" {
            at = at.rsplit_once("::")?.0;
        } else if further.is_empty() && module.items.contains(segment) {
            // Before a module of the same name, which is no item.
            return Some(module.file.clone());
        } else if let Some(child) = module.children.get(segment) {
            (at, strictly) = (child, false);
        } else if let Some(import) = module.imports.get(segment) {
            let whole: Vec<_> = import.path.iter().chain(further).cloned().collect();
            return resolve(modules, at, &whole, strictly, asked);
        } else if module.items.contains(segment) {
            return Some(module.file.clone());
        } else {
            let mut globs = module.globs.iter().map(|glob| [glob, rest].concat());
            let found = globs.find_map(|path| resolve(modules, at, &path, true, asked));
            return found.or_else(|| (!strictly).then(|| module.file.clone()));
        }
        rest = further;
    }
    Some(modules[at].file.clone())
}

/// The circles: files of which each uses, through others or itself, all the others.
pub(super) fn circles(uses: &Uses) -> Vec<Vec<PathBuf>> {
    let reached: BTreeMap<_, _> = uses.keys().map(|file| (file, reachable(uses, file))).collect();
    let mut circles: BTreeSet<Vec<PathBuf>> = BTreeSet::new();
    for (file, far) in &reached {
        let circle = far.iter().filter(|other| reached.get(other).is_some_and(|back| back.contains(*file)));
        let circle: Vec<_> = circle.cloned().collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reachable(uses: &Uses, from: &PathBuf) -> BTreeSet<PathBuf> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        for next in uses.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}
