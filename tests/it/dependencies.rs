//! What is built from: `deny.toml` held against what is locked, without a network. Advisories change by the day, so these
//! alone are left to the release, which looks them up with `cargo deny` and `cargo audit`.

use std::{
    collections::{BTreeMap, BTreeSet},
    env::consts::ARCH,
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;
use toml::Table;

mod licence;

/// The crates in this repository; everything else is somebody else's.
const OWN: [&str; 2] = ["rivulet", "rivulet-fuzz"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> Table {
    fs::read_to_string(root().join(name)).unwrap().parse().unwrap()
}

/// The strings of a list, or of a field of each of its tables.
fn strings(list: &toml::Value, field: &str) -> Vec<String> {
    let texts = list.as_array().unwrap().iter().map(|one| one.get(field).unwrap_or(one).as_str().unwrap().to_owned());
    texts.collect()
}

/// What the gateway is built from and tested with on a machine like this one.
fn built() -> Vec<Value> {
    let targets = strings(&read("deny.toml")["graph"]["targets"], "triple");
    let target = targets.iter().find(|target| target.starts_with(ARCH)).expect("a kind of machine that deny.toml has");
    let asked = ["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", target];
    let output = Command::new(env!("CARGO")).args(asked).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let uses: BTreeMap<String, Vec<Value>> = list(&told["resolve"]["nodes"])
        .iter()
        .map(|node| (node["id"].as_str().unwrap().to_owned(), list(&node["dependencies"])))
        .collect();
    let (mut reached, mut left) = (BTreeSet::new(), vec![told["resolve"]["root"].clone()]);
    while let Some(id) = left.pop() {
        if reached.insert(id.as_str().unwrap().to_owned()) {
            left.extend(uses[id.as_str().unwrap()].clone());
        }
    }
    let packages = list(&told["packages"]).into_iter();
    let packages: Vec<_> = packages.filter(|one| reached.contains(one["id"].as_str().unwrap())).collect();
    assert!(packages.len() > 300, "only {} crates found: is the search broken?", packages.len());
    packages
}

#[test]
fn every_licence_is_allowed_and_nothing_is_allowed_in_vain() {
    let licences = &read("deny.toml")["licenses"];
    let for_all = strings(&licences["allow"], "name");
    let exceptions: BTreeMap<String, Vec<String>> = licences["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["crate"].as_str().unwrap().to_owned(), strings(&one["allow"], "name")))
        .collect();
    let mut needed = BTreeSet::new();
    for package in built() {
        let name = package["name"].as_str().unwrap();
        let said = package["license"].as_str().unwrap_or_else(|| panic!("{name} names no licence"));
        let excepted = exceptions.get(name).cloned().unwrap_or_default();
        let ways = licence::ways(said).unwrap_or_else(|| panic!("{name}: `{said}` cannot be read"));
        let may = |way: &&BTreeSet<String>| way.iter().all(|one| for_all.contains(one) || excepted.contains(one));
        let way = ways.iter().find(may).unwrap_or_else(|| panic!("{name}: `{said}` is not allowed by deny.toml"));
        needed.extend(way.iter().filter(|one| for_all.contains(one)).cloned());
        if way.iter().any(|one| !for_all.contains(one)) {
            needed.insert(name.to_owned());
        }
    }
    let allowed = for_all.iter().chain(exceptions.keys());
    let idle: Vec<_> = allowed.filter(|one| !needed.contains(*one)).collect();
    assert!(idle.is_empty(), "nobody needs these of deny.toml: {idle:?}");
}

/// For all kinds of machines: the lock has them all.
#[test]
fn every_crate_is_of_the_default_registry_and_has_its_hash() {
    for kind in ["unknown-registry", "unknown-git"] {
        assert_eq!(read("deny.toml")["sources"][kind].as_str(), Some("deny"), "{kind}");
    }
    let locked = read("Cargo.lock")["package"].as_array().unwrap().clone();
    assert!(locked.len() > 500, "only {} crates found: is the search broken?", locked.len());
    for package in locked {
        let name = package["name"].as_str().unwrap();
        let Some(source) = package.get("source") else {
            assert!(OWN.contains(&name), "{name} is neither ours nor of a registry");
            continue;
        };
        let source = source.as_str().unwrap();
        assert!(source.starts_with("registry+") && source.ends_with("/crates.io-index"), "{name} is of {source}");
        let hash = package.get("checksum").and_then(toml::Value::as_str).unwrap_or_default();
        assert_eq!(hash.len(), 64, "{name} may change and nobody notices");
    }
}

#[test]
fn no_crate_is_wanted_in_any_version_whatever() {
    assert_eq!(read("deny.toml")["bans"]["wildcards"].as_str(), Some("deny"));
    for package in built() {
        for wanted in package["dependencies"].as_array().unwrap() {
            assert_ne!(wanted["req"], "*", "{} wants any {}", package["name"], wanted["name"]);
        }
    }
}

/// What is let pass may be right today; why, has to be said for whoever looks at it later.
#[test]
fn advisories_are_let_pass_for_a_reason_only() {
    let deny = read("deny.toml");
    assert_eq!(deny["advisories"]["yanked"].as_str(), Some("deny"));
    for advisory in deny["advisories"]["ignore"].as_array().unwrap() {
        let reason = advisory.get("reason").and_then(toml::Value::as_str).unwrap_or_default();
        assert!(reason.len() > 20, "{advisory} is let pass without a reason");
    }
    let release = fs::read_to_string(root().join(".github/workflows/release.yml")).unwrap();
    for asked in ["cargo deny --locked check", "cargo audit"] {
        assert!(release.contains(asked), "a release does not ask `{asked}`");
    }
}
