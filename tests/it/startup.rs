//! What keeps the gateway from starting is said in a sentence; what does not keep it is reported and it starts.

use std::fs;

use regex::Regex;
use serde_json::json;

use crate::harness::{SHARED, SHARED_REDIS, Setup, soon};

/// Runs a command that is meant to fail; its exit code and what it said.
async fn failing(setup: &Setup, arguments: &[&str]) -> (Option<i32>, String) {
    let output = setup.output(arguments).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

#[tokio::test]
async fn a_busy_port_and_a_folder_in_use_are_named() {
    let gateway = Setup::bare().start().await;
    let (code, said) = failing(&Setup::bare().bind(&gateway.address), &["serve"]).await;
    assert!(code == Some(1) && said.contains(&gateway.address), "{said}");

    let (code, said) = failing(&gateway.setup(), &["serve"]).await;
    assert!(code == Some(1) && said.contains("another process"), "two gateways on one folder: {said}");
    assert_eq!(gateway.get("/ready").await.0, 200);
}

#[tokio::test]
async fn a_data_folder_that_is_none_and_a_database_that_is_none() {
    let setup = Setup::bare();
    std::fs::write(setup.data.path().join("data"), "a file").unwrap();
    let (code, said) = failing(&setup, &["serve"]).await;
    assert!(code == Some(1) && said.contains("data folder"), "{said}");

    let setup = Setup::bare();
    let database = setup.data.path().join("data/rivulet.db");
    std::fs::create_dir(database.parent().unwrap()).unwrap();
    std::fs::write(&database, "this is no database, but somebody may still want it".repeat(100)).unwrap();
    let (code, said) = failing(&setup, &["serve"]).await;
    assert!(code == Some(1) && said.contains("session store"), "{said}");
    assert!(std::fs::read_to_string(&database).unwrap().starts_with("this is no database"), "left as it was");
}

/// What others than the owner may do, of everything in the data folder and of itself.
fn open_to_others(folder: &std::path::Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt;
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.chain([folder.to_owned()]);
    let open = all.filter(|path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077 != 0);
    open.map(|path| path.display().to_string()).collect()
}

#[tokio::test]
async fn what_is_stored_is_for_nobody_else_on_the_machine_to_read() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let gateway = Setup::bare().start().await;
    gateway.connect().await.ask("one").await;
    let data = gateway.setup().data.path().join("data");
    assert!(fs::read_dir(&data).unwrap().count() >= 3, "the database, its log and its lock");
    assert_eq!(open_to_others(&data), Vec::<String>::new());

    // A folder of an earlier version.
    let setup = gateway.kill().await;
    for path in fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let gateway = setup.start().await;
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    gateway.connect().await.ask("two").await;
    assert_eq!(open_to_others(&data), Vec::<String>::new());
}

#[tokio::test]
async fn chat_works_without_the_embedding_model_and_health_says_so() {
    let setup = Setup::bare().set("RIVULET_KNOWLEDGE_ENABLED", "true").set("RIVULET_KNOWLEDGE_MODEL_DIR", "/nowhere");
    let gateway = setup.start().await;
    let mut client = gateway.connect().await;
    assert_eq!(client.ask("How long can I return a tent?").await.status(), "complete");
    soon("the failure in the report", async { while gateway.get("/health").await.1["status"] != json!("degraded") {} })
        .await;
    let (status, ready) = gateway.get("/ready").await;
    assert_eq!((status, &ready["knowledge"]["state"]), (200, &json!("failed")));
    assert!(!ready.to_string().contains("/nowhere"), "paths are not for clients");
    assert!(gateway.log().contains("/nowhere"), "the log names it:\n{}", gateway.log());
}

#[tokio::test]
async fn what_deploy_has_starts_in_production_and_without_a_secret_it_does_not() {
    let secret = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";
    let operators = ("RIVULET_SERVER_ADMIN_BIND", "127.0.0.1:0");
    // Those of the image, which the file for Kubernetes goes on from.
    let image = [("ENVIRONMENT", "production"), ("REQUIRE_AUTHENTICATION", "true")];
    for (name, variables) in [("systemd", &[][..]), ("kubernetes", &image)] {
        let file = format!("{}/deploy/{name}/rivulet.toml", env!("CARGO_MANIFEST_DIR"));
        let setup =
            variables.iter().chain([&operators]).fold(Setup::bare(), |setup, (key, value)| setup.set(key, value));
        let (code, said) = failing(&setup, &["check", "--config", &file]).await;
        assert!(code == Some(1) && said.contains("JWT_SECRET_KEY"), "{name}: {said}");
        let (code, said) = failing(&setup.set("JWT_SECRET_KEY", secret), &["check", "--config", &file]).await;
        assert_eq!(code, Some(0), "{name}: {said}");
        assert!(said.contains("auth           required"), "{name}: {said}");
    }
}

#[tokio::test]
async fn the_gateways_of_the_file_for_compose_start_with_what_it_tells_them() {
    let file = fs::read_to_string(format!("{}/deploy/compose/cluster.yml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (_, environment) = file.split_once("x-environment: &environment\n").unwrap();
    let (environment, _) = environment.split_once("\nservices:").unwrap();
    let line = Regex::new(r#"(?m)^  ([A-Z_]+): "?(.*?)"?$"#).unwrap();
    let (asked, left) = (Regex::new(r"\$\{[A-Z_]+:\?[^}]*\}").unwrap(), Regex::new(r"\$\{[A-Z_]+:-\}").unwrap());
    let secret = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";
    let mut setup = Setup::bare().set("ENVIRONMENT", "production").set("REQUIRE_AUTHENTICATION", "true");
    let mut names = Vec::new();
    for told in line.captures_iter(environment) {
        let value = left.replace_all(&asked.replace_all(&told[2], secret), "").into_owned();
        assert!(!value.contains('$'), "{value}");
        setup = setup.set(&told[1], &value);
        names.push(told[1].to_owned());
    }
    assert!(["DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY"].iter().all(|name| names.contains(&(*name).to_owned())));
    // On this machine the servers are elsewhere, and so is the folder.
    let documents = setup.data.path().join("documents");
    let setup = setup
        .set("DATABASE_URL", &SHARED.fresh().await)
        .set("REDIS_URL", SHARED_REDIS.url())
        .set("RIVULET_SERVER_ADMIN_BIND", "127.0.0.1:0")
        .set("RIVULET_KNOWLEDGE_URI", documents.to_str().unwrap());
    let (code, said) = failing(&setup, &["check"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("auth           required") && !said.contains("warn  configuration"), "{said}");
}
