//! Settings that are wrong: each is named, with the place where it stands, by `rivulet check` and by the gateway, which does
//! not start. No secret is shown, wherever it was written by mistake.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use crate::harness::{Client, Setup, soon};

/// What is in every place that is no business of who reads a message.
const HIDDEN: &str = "hunter2";
/// 64 characters that nobody can guess.
const SECRET: &str = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";

/// What a command said, and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

async fn said(setup: &Setup, arguments: &[&str]) -> Said {
    let output = setup.output(arguments).await;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Said { code: output.status.code(), out: text(&output.stdout), error: text(&output.stderr) }
}

/// The findings of `rivulet check --json` with this verdict.
fn findings(said: &Said, verdict: &str) -> Vec<String> {
    let all: Vec<Value> = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}{}", said.out, said.error));
    let told = all.iter().filter(|finding| finding["verdict"] == verdict);
    told.map(|finding| format!("{}: {}", finding["subject"].as_str().unwrap(), finding["text"].as_str().unwrap()))
        .collect()
}

fn with_file(text: &str) -> Setup {
    let setup = Setup::bare();
    fs::write(setup.data.path().join("rivulet.toml"), text).unwrap();
    setup
}

/// Where the gateway listens is always set by a flag here, which goes before the variable.
fn with(setup: Setup, variables: &[(&str, &str)]) -> Setup {
    variables.iter().fold(setup, |setup, (name, value)| match *name {
        "RIVULET_SERVER_BIND" => setup.bind(value),
        _ => setup.set(name, value),
    })
}

/// Neither of the two ways to start takes these settings or makes anything, and both name all of `named` in lines that show no
/// secret.
async fn refused(what: &str, setup: &Setup, more: &[&str], named: &[&str]) -> Vec<String> {
    let checked = said(setup, &[&["check", "--json"], more].concat()).await;
    let failed = findings(&checked, "fail");
    assert_eq!(checked.code, Some(1), "{what}: {}{}", checked.out, checked.error);
    let served = said(setup, &[&["serve"], more].concat()).await;
    assert_eq!(served.code, Some(1), "{what}: {}", served.error);
    for part in named {
        assert!(failed.iter().any(|told| told.contains(part)), "{what}: {part:?} is missing in {failed:?}");
        assert!(served.error.contains(part), "{what}: {part:?} is missing in {}", served.error);
    }
    assert!(failed.iter().all(|told| told.len() < 700 && !told.contains(char::is_control)), "{what}: {failed:?}");
    let all = [checked.out, checked.error, served.out, served.error].concat();
    assert!(!all.contains(HIDDEN), "{what}: {all}");
    assert!(!setup.data.path().join("data").exists(), "{what}: something was made");
    failed
}

/// What it is · the file · what it names.
const IN_THE_FILE: &[(&str, &str, &[&str])] = &[
    ("no TOML", "[server\n", &["rivulet.toml:1:"]),
    ("no value", "\n[server]\nbind = \n", &["rivulet.toml:3:"]),
    ("a NUL", "\0", &["rivulet.toml:1:"]),
    ("a secret without quotes", "[auth]\njwt_secret = hunter2\n", &["rivulet.toml:2:"]),
    ("a secret without end", "[auth]\njwt_secret = \"hunter2\n\"hunter2\"\n", &["rivulet.toml:2:"]),
    ("a secret in an escape", "[llm]\napi_key = \"\\hunter2\"\n", &["rivulet.toml:2:"]),
    ("a secret twice", "[auth]\njwt_secret = 'hunter2'\njwt_secret = 'hunter2'\n", &["rivulet.toml:3:1", "duplicate"]),
    ("a section twice", "[llm]\n[server]\n[llm]\n", &["rivulet.toml:3:", "duplicate"]),
    ("a section that is none", "server = 3\n", &["rivulet.toml:1: server must be a section"]),
    ("a misspelt setting", "\n[server]\nbnid = 'x'\n", &["rivulet.toml:3", "`server.bnid`", "`server.bind`"]),
    ("a misspelt section", "[sesion]\nidle_s = 1\n", &["rivulet.toml:1", "`sesion`", "`session."]),
    ("a setting without its section", "top_k = 3\n", &["rivulet.toml:1", "`knowledge.top_k`"]),
    ("a setting in another section", "[llm]\ntop_k = 3\n", &["rivulet.toml:2", "`knowledge.top_k`"]),
    ("a clock that is fixed", "[session]\nping_s = 30\n", &["rivulet.toml:2", "`session.ping_s`"]),
    ("a name with control characters", "\"\\u001b[2J\\n\" = 1\n", &["rivulet.toml:1", "nearest"]),
    ("a text for a number", "[session]\nidle_s = 'soon'\n", &["rivulet.toml:2: session.idle_s must be a whole number"]),
    ("a number for a text", "[llm]\nmodel = 4\n", &["rivulet.toml:2: llm.model must be a text"]),
    ("no time", "[llm]\nconnect_s = 0\n", &["llm.connect_s must be a number from 0.001 to 300", "the number 0"]),
    ("half a second", "[session]\nidle_s = 0.5\n", &["session.idle_s must be a whole number", "the number 0.5"]),
    ("more than 64 bits", "[session]\nttl_s = 99999999999999999999\n", &["rivulet.toml:2:"]),
    ("a size beyond the bound", "[knowledge]\nupload_bytes = 10485761\n", &["knowledge.upload_bytes", "1 to 10485760"]),
    ("a name for an address", "[server]\nbind = 'localhost:80'\n", &["server.bind must be an IP address and a port"]),
    ("a socket that is a file", "[server]\nbind = 'unix:/run/rivulet.sock'\n", &["server.bind must be an IP address"]),
    ("no choice", "[server]\nenvironment = 'prod'\n", &["server.environment must be one of development, production"]),
    ("no level", "[telemetry]\nlog_level = 'loud'\n", &["telemetry.log_level must be off, error, warn"]),
    ("a path in an origin", "[server]\nallowed_origins = ['https://a.example/b']\n", &["server.allowed_origins"]),
    ("half of TLS", "[server]\ntls_cert = 'cert.pem'\n", &["server.tls_cert is set, and server.tls_key is not"]),
    ("everybody is a proxy", "[server]\ntrusted_proxies = ['0.0.0.0/0']\n", &["server.trusted_proxies", "0.0.0.0/0"]),
    ("nobody could come in", "[auth]\nrequired = true\n", &["auth.required is true", "JWT_SECRET_KEY"]),
    (
        "one secret twice",
        "[auth]\njwt_secret = 'a'\nprevious_jwt_secret = 'a'\n",
        &["auth.previous_jwt_secret is the same"],
    ),
    ("a key that is none", "[auth]\npublic_keys = ['/dev/null']\n", &["auth.public_keys: /dev/null cannot be used"]),
    ("a key that is not there", "[auth]\npublic_keys = ['/nowhere/k.pem']\n", &["auth.public_keys: /nowhere/k.pem"]),
    (
        "a target that nobody knows",
        "[[llm.targets]]\npreset = 'groq'\n[[llm.targets]]\nmodel = 'm'\napi_key = 'hunter2'\n",
        &["llm.targets[2].base_url"],
    ),
    (
        "a misspelt setting of a target",
        "[[llm.targets]]\npreset = 'groq'\napi_kee = 'hunter2'\n",
        &["rivulet.toml:3", "llm.targets[1].api_kee", "`api_key`"],
    ),
];

/// What it is · variables · what it names.
type InVariables = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const IN_VARIABLES: &[InVariables] = &[
    (
        "two at one address",
        &[("RIVULET_SERVER_BIND", "127.0.0.1:9"), ("RIVULET_SERVER_ADMIN_BIND", "127.0.0.1:9")],
        &["server.admin_bind is 127.0.0.1:9, and server.bind is 127.0.0.1:9"],
    ),
    (
        "an address within all of them",
        &[("RIVULET_SERVER_BIND", "[::]:9"), ("RIVULET_SERVER_ADMIN_BIND", "127.0.0.1:9")],
        &["server.admin_bind is 127.0.0.1:9, and server.bind is [::]:9"],
    ),
    ("a misspelt name", &[("RIVULET_SERVER_BINDD", "x")], &["RIVULET_SERVER_BINDD", "`RIVULET_SERVER_BIND`"]),
    (
        "a number beyond 64 bits",
        &[("RIVULET_SESSION_TTL_S", "99999999999999999999")],
        &["RIVULET_SESSION_TTL_S: session.ttl_s"],
    ),
    ("a port that is none", &[("PORT", "65536")], &["PORT must be a whole number from 0 to 65535"]),
    (
        "neither yes nor no",
        &[("REQUIRE_AUTHENTICATION", "maybe")],
        &["REQUIRE_AUTHENTICATION: auth.required must be true"],
    ),
    (
        "a list in JSON",
        &[("CORS_ORIGINS", "[\"https://a.example\"]")],
        &["CORS_ORIGINS: server.allowed_origins", "commas"],
    ),
    (
        "targets that are no JSON",
        &[("RIVULET_LLM_TARGETS", "[{'api_key':'hunter2'}]")],
        &["llm.targets must be a list"],
    ),
    ("a key with a line of its own", &[("GROQ_API_KEY", "hunter2\nX-Evil: 1")], &["GROQ_API_KEY: llm.api_key must be"]),
    (
        "what gateways share, and no store for them",
        &[("ENVIRONMENT", "production"), ("REDIS_URL", "redis://:hunter2@no.such.host:6379")],
        &["cluster.redis_url", "DATABASE_URL"],
    ),
    (
        "another kind of database",
        &[("DATABASE_URL", "mysql://u:hunter2@db.example/rivulet")],
        &["DATABASE_URL: store.database_url must be the address of a PostgreSQL database"],
    ),
    ("a database without a host", &[("DATABASE_URL", "postgres:///hunter2")], &["store.database_url", "no host"]),
    (
        "a port of a database that is none",
        &[("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:99999/d")],
        &["store.database_url", "postgres://user:password@host"],
    ),
    (
        "what no database knows",
        &[("DATABASE_URL", "postgres://u:p@127.0.0.1/d?sslmode=hunter2")],
        &["store.database_url", "postgres://user:password@host"],
    ),
    (
        "another kind of cache",
        &[("REDIS_URL", "memcached://:hunter2@cache")],
        &["REDIS_URL: cluster.redis_url must be"],
    ),
    (
        "a port of a Redis that is none",
        &[("REDIS_URL", "redis://:hunter2@a:99999")],
        &["cluster.redis_url", "redis://"],
    ),
    ("two that are no cluster", &[("REDIS_URL", "redis://:hunter2@a,b")], &["cluster.redis_url", "redis+cluster://"]),
    ("a database of a Redis that is none", &[("REDIS_URL", "redis://a/hunter2")], &["cluster.redis_url", "/database"]),
    ("Sentinels without a name", &[("REDIS_URL", "redis+sentinel://:hunter2@a")], &["cluster.redis_url", "/name"]),
    ("a cluster without a node", &[("REDIS_URL", "redis+cluster://,,")], &["cluster.redis_url", "redis+cluster://"]),
    ("a protocol of a Redis", &[("REDIS_URL", "redis://a?protocol=hunter2")], &["cluster.redis_url", "redis://"]),
    (
        "a password for the model",
        &[("OPENAI_BASE_URL", "https://u:hunter2@api.example/v1")],
        &["OPENAI_BASE_URL: llm.base_url"],
    ),
    (
        "a password for keys",
        &[("RIVULET_AUTH_JWKS_URL", "https://u:hunter2@login.example/")],
        &["auth.jwks_url must be"],
    ),
    (
        "keys without TLS",
        &[("RIVULET_AUTH_JWKS_URL", "http://hunter2.example/keys")],
        &["auth.jwks_url must be an https://"],
    ),
    ("keys in a file of the machine", &[("RIVULET_AUTH_JWKS_URL", "file:///etc/hunter2")], &["auth.jwks_url must be"]),
    (
        "a password to sign in",
        &[("RIVULET_AUTH_SIGN_IN_URL", "https://u:hunter2@login.example/")],
        &["auth.sign_in_url must be"],
    ),
    (
        "a password in an origin",
        &[("CORS_ORIGINS", "https://u:hunter2@a.example")],
        &["CORS_ORIGINS: server.allowed_origins"],
    ),
    ("a password for the index", &[("RIVULET_KNOWLEDGE_URI", "s3://key:hunter2@bucket")], &["knowledge.uri"]),
    (
        "a password for spans",
        &[("RIVULET_TELEMETRY_OTLP_ENDPOINT", "http://u:hunter2@c:4318")],
        &["telemetry.otlp_endpoint"],
    ),
];

/// What production does not start with, besides.
const IN_PRODUCTION: &[InVariables] = &[
    ("a short secret", &[("JWT_SECRET_KEY", "hunter2")], &["auth.jwt_secret has fewer than 32 characters"]),
    (
        "a secret of a manual",
        &[("JWT_SECRET_KEY", "your-secret-key-change-in-production")],
        &["auth.jwt_secret is a default"],
    ),
    (
        "a short one before it",
        &[("RIVULET_AUTH_PREVIOUS_JWT_SECRET", "hunter2")],
        &["auth.previous_jwt_secret has fewer"],
    ),
    ("no secret", &[("JWT_SECRET_KEY", "")], &["auth.required is true", "JWT_SECRET_KEY"]),
    ("nobody says who they are", &[("REQUIRE_AUTHENTICATION", "false")], &["production", "auth.required is false"]),
    ("any page", &[("CORS_ORIGINS", "https://a.example,*")], &["production", "server.allowed_origins holds `*`"]),
    ("no TLS", &[("RIVULET_SERVER_BIND", "0.0.0.0:80")], &["there is no TLS"]),
];

#[tokio::test]
async fn what_is_wrong_in_the_file_is_named_with_its_line() {
    for (what, file, named) in IN_THE_FILE {
        let setup = with_file(file);
        refused(what, &setup, &[], named).await;
    }
}

#[tokio::test]
async fn what_is_wrong_in_variables_is_named_with_the_variable() {
    for (what, variables, named) in IN_VARIABLES {
        refused(what, &with(Setup::bare(), variables), &[], named).await;
    }
}

#[tokio::test]
async fn production_does_not_start_with_what_is_unsafe_in_public() {
    let safe = [("ENVIRONMENT", "production"), ("REQUIRE_AUTHENTICATION", "true"), ("JWT_SECRET_KEY", SECRET)];
    let production = || with(Setup::bare(), &safe);
    let told = said(&production(), &["check"]).await;
    assert!(told.code == Some(0) && !told.out.contains(SECRET), "the others fail for their reasons only: {}", told.out);
    for (what, variables, named) in IN_PRODUCTION {
        refused(what, &with(production(), variables), &[], named).await;
    }
}

/// All settings by their sections, as the shipped file names them.
fn settings() -> Vec<(String, Vec<String>)> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("rivulet.toml")).unwrap().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            sections.push((name.to_owned(), Vec::new()));
        } else if let (Some((name, _)), Some((_, names))) =
            (line.trim_start_matches("# ").split_once(" = "), sections.last_mut())
            && !name.contains(' ')
        {
            names.push(name.to_owned());
        }
    }
    sections
}

/// Whatever setting it is: below its bounds, beyond them, no number, or of another kind.
#[tokio::test]
async fn of_all_settings_a_value_that_is_none_is_named_and_not_shown() {
    let settings = settings();
    assert!(settings.iter().map(|(_, names)| names.len()).sum::<usize>() > 70, "{settings:?}");
    for value in ["-1", "9223372036854775807", "-inf", "nan", "1e400", "1979-05-27", "{ a = 'hunter2' }", "[[1]]"] {
        let (mut text, mut line, mut places) = (String::new(), 0, Vec::new());
        for (section, names) in &settings {
            text += &format!("[{section}]\n");
            line += 1;
            for name in names {
                text += &format!("{name} = {value}\n");
                line += 1;
                places.push(format!("rivulet.toml:{line}: {section}.{name}"));
            }
        }
        let failed = refused(value, &with_file(&text), &[], &[]).await;
        for place in &places {
            assert!(failed.iter().any(|told| told.contains(place)), "{place} = {value} is not named");
        }
        assert_eq!(failed.len(), places.len(), "{value}: and nothing else");
    }
}

#[tokio::test]
async fn files_that_cannot_be_read_are_named_and_those_that_say_nothing_are_fine() {
    let setup = Setup::bare().bound_by_modes();
    let at = |name: &str| setup.data.path().join(name).display().to_string();
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("latin1"), b"[llm]\nmodel = \"\xe4\"").unwrap();
    fs::write(at("huge"), "#".repeat((1 << 20) + 1)).unwrap();
    fs::write(at("closed"), "").unwrap();
    fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
    for (file, named) in [
        (at("absent"), "No such file"),
        (at("folder"), "directory"),
        (at("latin1"), "UTF-8"),
        (at("huge"), "1 MiB"),
        (at("closed"), "Permission denied"),
        (at("link"), "No such file"),
        ("/dev/zero".to_owned(), "1 MiB"),
    ] {
        refused(&file, &setup, &["--config", &file], &["cannot read the configuration file", &file, named]).await;
    }
    std::os::unix::fs::symlink("nowhere", at("rivulet.toml")).unwrap();
    refused("the usual file, a link", &setup, &[], &["rivulet.toml", "No such file"]).await;
    for nothing in ["", "\n", "# a remark\r\n", "\u{feff}[server]\r\ndrain_s = 1\r\n"] {
        let told = said(&with_file(nothing), &["check", "--json"]).await;
        assert_eq!((told.code, findings(&told, "fail")), (Some(0), Vec::new()), "{nothing:?}: {}", told.out);
    }
}

/// A secret that is not what was written would be one that others know.
#[tokio::test]
async fn bytes_that_are_no_text_are_nobodys_setting() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    for (name, bytes) in [
        ("JWT_SECRET_KEY", [b'\xff'; 40].as_slice()),
        ("RIVULET_AUTH_PREVIOUS_JWT_SECRET", b"6f1c0d9be27a43588b3f5c2ad4e90716\xc3"),
        ("RIVULET_SERVER_DATA_DIR", b"folder\xe4"),
        ("RIVULET_AUTH_ISSUER", b"https://login.ex\xe4mple"),
        ("CORS_ORIGINS", b"https://a.ex\xe4mple"),
    ] {
        for command in ["check", "serve"] {
            let setup = Setup::bare();
            let mut command = setup.command(&[command]);
            let output = command.env(name, OsStr::from_bytes(bytes)).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{name}: {told}");
            assert!(told.contains(&format!("{name}: ")) && told.contains("must be text in UTF-8"), "{name}: {told}");
            assert!(!setup.data.path().join("data").exists(), "{name}");
        }
    }
}

/// The environment goes before the file, and neither is shown, wherever everything is told.
#[tokio::test]
async fn secrets_of_the_environment_win_and_none_is_ever_shown() {
    let [filed, given, key, header] =
        ["file", "environment", "key", "header"].map(|of| format!("{SECRET}-{HIDDEN}-{of}"));
    let target = "base_url = \"http://127.0.0.1:9/v1\"\nmodel = \"m\"\n";
    let file = format!(
        "[auth]\nrequired = true\njwt_secret = \"{filed}\"\n[[llm.targets]]\n{target}api_key = \"{key}\"\n\
         headers = {{ X-Key = \"{header}\" }}\n[telemetry]\nlog_level = \"debug\"\n"
    );
    let by_file = with_file(&file);
    let both = with_file(&file).set("JWT_SECRET_KEY", &given);
    for (setup, secret) in [(&by_file, &filed), (&both, &given)] {
        let token = said(setup, &["token", "--user", "ann"]).await.out;
        let (message, signature) = token.trim_end().rsplit_once('.').unwrap();
        let [header, claims] = message.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
        let decoded = |part: &str| {
            use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
            String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let ours = crate::auth::forge(&decoded(header), &decoded(claims), secret);
        assert_eq!(ours.rsplit_once('.').unwrap().1, signature, "the one that wins signs");
        for arguments in [&["check"][..], &["check", "--json"]] {
            let told = said(setup, arguments).await;
            assert!(told.code == Some(0) && told.out.contains("127.0.0.1:9"), "{}", told.out);
            assert!(!(told.out + &told.error).contains(HIDDEN));
        }
    }
    let token = said(&both, &["token", "--user", "ann"]).await.out;
    let gateway = both.start().await;
    let mut client = Client::connect_as(&gateway.socket(""), token.trim_end()).await;
    assert_eq!(client.ask("Is anybody there?").await.status(), "error");
    let is_told = async || gateway.get("/health").await.0 == 200 && gateway.log().contains("DEBUG");
    soon("a line of that level", async { while !is_told().await {} }).await;
    assert!(!gateway.log().contains(HIDDEN), "{}", gateway.log());
}
