//! The documentation can be followed: what it says to type is there, what it names has that name, what it links to exists,
//! and what it shows of the examples is what they are. That the examples work is for `tests/examples/run.py`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use axum::http::Method;
use regex::Regex;

use crate::harness::{Setup, TestGateway};

const SECTIONS: &str = "server|session|store|cluster|llm|knowledge|datasets|auth|limits|telemetry";
/// Variables that begin like settings, and are for the tests, the examples, make and Compose, or not there on purpose.
const OTHER_VARIABLES: [&str; 8] = ["CACHE", "URL", "TOKEN", "TEST", "IMAGE", "CORPUS", "BINARY", "SERVER_BNID"];
/// Words of OpenTelemetry that look like settings.
const ATTRIBUTES: [&str; 2] = ["server.address", "server.port"];
/// Where the documentation's gateways are: with what is for everybody, and for administrators.
const HOSTS: &str = r"https?://(?:127\.0\.0\.1:(?:8080|8081|9090)|chat\.my\.example|NAME)(/[^\s'\x22`)?#]*)";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page of it, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "web-demo/README.md"].map(|name| root().join(name)).into();
    paths.extend(files(&root().join("docs")).into_iter().filter(|path| path.extension().is_some_and(|it| it == "md")));
    assert!(paths.len() > 15, "only {paths:?} were found");
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.filter(|path| !path.components().any(|part| part.as_os_str() == "__pycache__")).collect()
}

fn found(pattern: &str, text: &str) -> Vec<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The code blocks of one of these languages.
fn blocks(languages: &str, text: &str) -> Vec<String> {
    found(&format!(r"(?ms)^```(?:{languages})\n(.*?)^```"), text)
}

/// What is to be typed: the lines of its shell blocks, and what stands in the text as code.
fn typed(text: &str) -> Vec<String> {
    let prose = Regex::new(r"(?ms)^```.*?^```").unwrap().replace_all(text, "");
    let blocks = blocks("sh", text).join("\n").replace("\\\n", " ");
    blocks.lines().map(str::to_owned).chain(found(r"`([^`]+)`", &prose.replace('\n', " "))).collect()
}

#[test]
fn commands_and_their_flags_exist() {
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let mut help = |words: &[&str]| {
        let told = helps.entry(words.join(" ")).or_insert_with(|| {
            let output = Command::new(env!("CARGO_BIN_EXE_rivulet")).args(words).arg("--help").output().unwrap();
            if output.status.success() { String::from_utf8(output.stdout).unwrap() } else { String::new() }
        });
        told.clone()
    };
    let mut seen = 0;
    let called = Regex::new(r"(?:^|[\s(/])rivulet ").unwrap();
    let name = Regex::new("^[a-z][a-z-]*$").unwrap();
    let is_name = |word: &&str| name.is_match(word);
    for (path, text) in pages() {
        for line in typed(&text) {
            for begins in called.find_iter(&line) {
                let arguments = line[begins.end()..].split(['|', '&', ';', '#', '>', ')']).next().unwrap();
                let words: Vec<&str> = arguments.split_whitespace().collect();
                let Some(first) = words.first().copied().filter(is_name) else { continue };
                let mut command = vec![first];
                if ["knowledge", "api-key"].contains(&first) {
                    command.extend(words.get(1).copied().filter(is_name));
                }
                let told = help(&command);
                assert!(!told.is_empty(), "{}: there is no `rivulet {}`", path.display(), command.join(" "));
                for flag in words.iter().filter(|word| word.starts_with("--") && **word != "--help") {
                    let flag = flag.split('=').next().unwrap().trim_end_matches([',', '.', ']', '"']);
                    assert!(
                        told.contains(&format!("{flag} ")) || told.contains(&format!("{flag}\n")),
                        "{}: `rivulet {}` has no {flag}",
                        path.display(),
                        command.join(" ")
                    );
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "only {seen} commands were found");
}

#[test]
fn targets_of_make_exist() {
    let makefile = read(&root().join("Makefile"));
    let targets: BTreeSet<String> = found(r"(?m)^([a-z0-9-]+):", &makefile).into_iter().collect();
    let mut seen = 0;
    for (path, text) in pages() {
        for target in typed(&text).iter().flat_map(|line| found(r"^make ([a-z][a-z0-9-]*)", line.trim())) {
            assert!(targets.contains(&target), "{}: there is no `make {target}`", path.display());
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} were found");
}

#[test]
fn settings_have_the_names_they_are_called_by() {
    let configuration = read(&root().join("docs/configuration.md"));
    let keys: BTreeSet<String> = found(r"(?m)^\| `([a-z]+\.[a-z0-9_]+)` \|", &configuration).into_iter().collect();
    assert!(keys.len() > 60, "only {} settings were found", keys.len());
    let variables: BTreeSet<String> = keys.iter().map(|key| key.replace('.', "_").to_uppercase()).collect();
    for (path, text) in pages() {
        for key in found(&format!(r"`((?:{SECTIONS})\.[a-z0-9_]+)(?: = [^`]*)?`"), &text) {
            let is_file = ["toml", "rs", "md", "ts", "yml"].iter().any(|end| key.ends_with(end));
            let is_other = is_file || ATTRIBUTES.contains(&key.as_str());
            assert!(is_other || keys.contains(&key), "{}: there is no setting {key}", path.display());
        }
        for variable in found(r"\bRIVULET_([A-Z0-9_]+)\b", &text) {
            let is_other = OTHER_VARIABLES.iter().any(|other| variable.starts_with(other));
            assert!(
                is_other || variables.contains(&variable),
                "{}: no setting is set by RIVULET_{variable}",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn addresses_are_routes() {
    let secret = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";
    let setup = Setup::bare().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", secret);
    let gateway = setup.start().await;
    let mut seen = BTreeSet::new();
    let named = Regex::new(r"`((?:GET|POST|PUT|PATCH|DELETE)(?:\\?\|[A-Z]+)*) (/[^\s`?…]*)").unwrap();
    let posts = Regex::new(r"--json|-d |-F ").unwrap();
    let open = Regex::new(r"\{[^}]*\}|\$[A-Za-z]+").unwrap();
    for (path, text) in pages() {
        let mut addresses: Vec<(String, String)> = named
            .captures_iter(&text)
            .flat_map(|found| {
                let methods: Vec<String> = found[1].split('|').map(|it| it.trim_matches('\\').to_owned()).collect();
                let address = found[2].to_owned();
                methods.into_iter().map(move |method| (method, address.clone()))
            })
            .collect();
        for line in typed(&text) {
            let method = if posts.is_match(&line) { "POST" } else { "GET" };
            let said = found(r"-X ([A-Z]+)", &line).into_iter().next();
            let method = said.unwrap_or_else(|| method.to_owned());
            addresses.extend(found(HOSTS, &line).into_iter().map(|address| (method.clone(), address)));
        }
        for (method, address) in addresses {
            let plain = open.replace_all(&address, "1").into_owned();
            assert!(
                is_route(&gateway, &method, &plain).await
                    || is_route(&gateway, &method, &format!("/api/v1{plain}")).await
                    // The base of programs that speak OpenAI's interface.
                    || plain == "/v1",
                "{}: there is no {method} {address}",
                path.display()
            );
            seen.insert((method, address));
        }
    }
    assert!(seen.len() > 50, "only {} were found", seen.len());
}

/// Whether the gateway knows the address. Nobody is let in, so nothing is done.
async fn is_route(gateway: &TestGateway, method: &str, path: &str) -> bool {
    let method: Method = method.parse().unwrap();
    let request = reqwest::Client::new().request(method, gateway.url(path));
    let (status, problem) = TestGateway::answer(request).await;
    status != 405 && (status != 404 || problem["detail"] != "there is no such address")
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|it| it.is_alphanumeric() || "-_".contains(*it)).collect()
}

#[test]
fn links_lead_somewhere() {
    let blocks = Regex::new(r"(?ms)^```.*?^```").unwrap();
    for (path, text) in pages() {
        let prose = blocks.replace_all(&text, "").into_owned();
        for link in found(r"\]\(([^)\s]+)\)", &prose) {
            if link.contains("://") {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link} is not there", path.display());
            if !section.is_empty() && target.is_file() {
                let headings = found(r"(?m)^#+ (.+)$", &read(&target));
                let is_there = headings.iter().any(|heading| anchor(heading) == section);
                assert!(is_there, "{}: {link} has no such section", path.display());
            }
        }
    }
}

/// Every code block of the guide but commands and bodies is a part of an example, and every example is named.
#[test]
fn the_guide_shows_the_examples_as_they_are() {
    let guide = read(&root().join("docs/api.md"));
    let clients = root().join("examples/clients");
    let examples: Vec<(PathBuf, String)> =
        files(&clients).into_iter().map(|path| (path.clone(), read(&path))).collect();
    let shown = blocks("js|html|python|rust|bash", &guide);
    assert!(shown.len() > 8, "only {} blocks were found", shown.len());
    for block in &shown {
        let is_there = examples.iter().any(|(_, text)| text.contains(block.as_str()));
        assert!(is_there, "no example has\n{block}");
    }
    for (path, _) in &examples {
        let name = path.strip_prefix(&clients).unwrap().display().to_string();
        assert!(guide.contains(&format!("examples/clients/{name})")), "the guide does not lead to {name}");
    }
}
