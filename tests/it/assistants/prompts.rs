//! Prompts with places in them, as the model is told them.

use std::fs;

use serde_json::json;

use super::{SECRET, answering, asked, open, system, with};
use crate::harness::{Client, Setup};

const FILE: &str = "[prompt]\nvars = { shop = \"Tents\" }\n[knowledge]\nmode = \"off\"";
const PROMPT: &str = "{{ shop }}: {{ user }} of {{ tenant }}, {{ today }}.\nAnswer in {{ language }}.";

#[tokio::test]
async fn a_prompt_is_filled_in_for_who_asks() {
    let upstream = answering().await;
    let setup = Setup::with_upstream(&upstream.url).set("JWT_SECRET_KEY", SECRET);
    let gateway = with(setup, &[("books.toml", FILE), ("books.md", PROMPT)]).start().await;
    let token = async |user: &str| {
        let output = gateway.setup().output(&["token", "--tenant", "north", "--user", user]).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let url = format!("{}?assistant=books", gateway.socket(""));
    Client::connect_as(&url, &token("ann").await).await.ask("Hi").await;
    let told = asked(&upstream);
    let (line, language) = system(&told).split_once('\n').unwrap();
    let today = line.strip_prefix("Tents: ann of north, ").expect(line);
    let date: Vec<_> = today.trim_end_matches('.').split('-').map(str::len).collect();
    assert_eq!((&*date, language), (&[4, 2, 2][..], "Answer in the language of the question."));
    open(&gateway, "books").await.ask("Hi").await;
    assert!(system(&asked(&upstream)).starts_with("Tents: unknown of unknown, "));

    // What nobody knows is refused by its line, also while it runs.
    let prompt = gateway.setup().data.path().join("assistants/books.md");
    fs::write(&prompt, "Hi\n{{ usr }}").unwrap();
    gateway.reload("the configuration stays as it was").await;
    let told = gateway.setup().output(&["check"]).await;
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("assistants/books.md:2: what stands in {{ }} must be one of today, language"), "{told}");
    fs::write(&prompt, "Sell {{ shop }}.").unwrap();
    gateway.reload("the configuration was read again").await;
    open(&gateway, "books").await.ask("Hi").await;
    assert_eq!(asked(&upstream)["messages"][0]["content"], json!("Sell Tents."));
}
