//! Languages: each is introduced in the one of who asks, as far as it is in it.

use reqwest::Client as Http;
use serde_json::{Value, json};

use super::with;
use crate::harness::Setup;

const BOOKS: &str = r#"
title = "Books"
languages = ["en", "de", "pt-BR"]
description = { en = "Knows our shelves.", de = "Kennt unsere Regale." }
greeting = { en = "Hello", de = "Guten Tag", pt-BR = "Bom dia" }
suggestions = { en = ["What is new?"], de = ["Was ist neu?", "Was ist alt?"] }
"#;
const HILFE: &str = r#"
languages = ["de", "en"]
greeting = { de = "Hallo" }
"#;

#[tokio::test]
async fn each_is_introduced_in_the_language_of_who_asks() {
    let files =
        [("books.toml", BOOKS), ("hilfe.toml", HILFE), ("plain.toml", "languages = [\"fr\"]\ngreeting = \"Salut\"")];
    let gateway = with(Setup::bare(), &files).start().await;
    let listed = async |query: &str, accept: Option<&str>| {
        let request = Http::new().get(gateway.url(&format!("/api/v1/assistants{query}")));
        let request = accept.into_iter().fold(request, |request, accept| request.header("accept-language", accept));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let head = |name: &str| {
            let values = response.headers().get_all(name).iter().map(|value| value.to_str().unwrap());
            values.collect::<Vec<_>>().join(", ").to_ascii_lowercase()
        };
        assert!(head("vary").contains("accept-language"), "{}", head("vary"));
        let languages = head("content-language");
        let body: Value = response.json().await.unwrap();
        (languages, body["assistants"].as_array().unwrap().clone())
    };
    let greetings = |listed: &[Value]| listed[1..].iter().map(|one| one["greeting"].clone()).collect::<Vec<_>>();

    let (languages, english) = listed("", Some("en-GB,en;q=0.9,de;q=0.1")).await;
    assert_eq!((&*languages, greetings(&english)), ("de, en", vec![json!("Hello"), json!("Hallo"), json!("Salut")]));
    let (books, plain) = (&english[1], &english[3]);
    assert_eq!((&books["title"], &books["description"]), (&json!("Books"), &json!("Knows our shelves.")));
    assert_eq!((&books["suggestions"], &books["language"]), (&json!(["What is new?"]), &json!("en")));
    assert!(plain["language"].is_null() && english[0]["language"].is_null(), "there is but one");

    let (languages, german) = listed("", Some("fr;q=0.3, de-AT")).await;
    assert_eq!((&*languages, greetings(&german)[0].clone()), ("de", json!("Guten Tag")));
    assert_eq!(german[1]["suggestions"], json!(["Was ist neu?", "Was ist alt?"]));
    let (languages, named) = listed("?lang=pt", Some("de")).await;
    assert_eq!((&*languages, greetings(&named)[0].clone()), ("de, pt-br", json!("Bom dia")));
    assert_eq!(named[1]["description"], "Knows our shelves.", "what is not in it is in the first");
    for (query, accept) in [("", None), ("", Some("fr, zh;q=0.5")), ("?lang=xx", None), ("?lang=", Some("*"))] {
        let (languages, first) = listed(query, accept).await;
        assert_eq!((&*languages, greetings(&first)[0].clone()), ("de, en", json!("Hello")), "{query} {accept:?}");
    }
    let versions = |listed: &[Value]| listed.iter().map(|one| one["version"].clone()).collect::<Vec<_>>();
    assert_eq!(versions(&english), versions(&german));
}
