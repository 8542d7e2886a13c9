//! What fuzzing has found interesting, through the same checks: all inputs of `fuzz/corpus`, in every run of the tests.

use std::{fs, path::Path};

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is public for the fuzz targets")]
mod checks;

/// Gives every input of a corpus to its check.
fn replay(name: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        eprintln!("{}", path.display()); // Shown when it fails.
        check(&bytes);
        seen += 1;
    }
    assert!(seen > 0, "{} is empty", folder.display());
}

macro_rules! replays {
    ($($target:ident,)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), checks::$target);
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let named: std::collections::BTreeSet<String> = [$(stringify!($target).to_owned()),*].into();
            for (folder, ending) in [("fuzz/corpus", ""), ("fuzz/fuzz_targets", ".rs")] {
                let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
                let there = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
                let there = there.map(|name| name.strip_suffix(ending).unwrap().to_owned()).collect();
                assert_eq!(named, there, "{folder}");
            }
        }
    };
}

replays! {
    archive,
    backup,
    completions,
    config,
    credentials,
    documents,
    frames,
    heads,
    names,
    requests,
    tools,
    upstream,
}
