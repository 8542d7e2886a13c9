//! What conversations are called, and how they are found by it.

use reqwest::{Client as Http, Method};
use serde_json::{Value, json};

use crate::harness::{Neighbour, Setup, TestGateway};

async fn rename(gateway: &TestGateway, session: &str, title: &Value) -> (u16, Value) {
    let url = gateway.url(&format!("/api/v1/sessions/{session}"));
    let answer = Http::new().request(Method::PATCH, url).json(&json!({"title": title})).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn titles(gateway: &TestGateway, query: &str) -> (Vec<Value>, Value) {
    let (status, found) = gateway.get(&format!("/api/v1/sessions?{query}")).await;
    assert_eq!(status, 200, "{found}");
    let titles = found["sessions"].as_array().unwrap().iter().map(|session| session["title"].clone());
    (titles.collect(), found["more"].clone())
}

#[tokio::test]
async fn a_conversation_is_called_after_its_first_question_or_as_somebody_wants() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let mut client = gateway.connect().await;
    let session = client.session();
    let path = format!("/api/v1/sessions/{session}");
    assert_eq!(gateway.get(&path).await.1.get("title"), None);
    assert_eq!(rename(&gateway, &session, &json!("Early")).await.0, 404, "it is not stored yet");
    client.ask("\nHow do I wash a tent?\nAnd how do I dry it?").await;
    client.ask("And a bag?").await;
    assert_eq!(gateway.get(&path).await.1["title"], "How do I wash a tent?");
    neighbour.goes_on().await;

    let (status, renamed) = rename(&gateway, &session, &json!("  Wäsche  ")).await;
    assert_eq!((status, &renamed["title"], &renamed["message_count"]), (200, &json!("Wäsche"), &json!(4)));
    client.ask("And shoes?").await;
    for (title, words) in [
        (json!(""), "1 to 200"),
        (json!("  "), "1 to 200"),
        (json!("two\nlines"), "control"),
        (json!("x".repeat(201)), "1 to 200"),
    ] {
        let (status, problem) = rename(&gateway, &session, &title).await;
        let detail = problem["detail"].as_str().unwrap();
        assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_field")), "{title}");
        assert!(detail.contains("`title`") && detail.contains(words), "{detail}");
    }
    for title in [json!(7), Value::Null] {
        let (status, problem) = rename(&gateway, &session, &title).await;
        assert_eq!(status, 400, "{problem}");
    }
    assert_eq!(rename(&gateway, "s_none", &json!("x")).await.0, 404);

    let gateway = gateway.kill().await.start().await;
    assert_eq!(gateway.get(&path).await.1["title"], "Wäsche");
    assert_eq!(rename(&gateway, &session, &json!("x".repeat(200))).await.0, 200);
}

#[tokio::test]
async fn conversations_are_found_by_their_titles_page_by_page() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    for question in ["A tent", "A stove", "TENTS of wool", "100 % wool"] {
        gateway.connect().await.ask(question).await;
    }
    neighbour.goes_on().await;
    assert_eq!(titles(&gateway, "q=tent").await, (vec![json!("TENTS of wool"), json!("A tent")], json!(false)));
    let (_, first) = gateway.get("/api/v1/sessions?q=tent&limit=1").await;
    assert_eq!((&first["sessions"][0]["title"], &first["more"]), (&json!("TENTS of wool"), &json!(true)));
    let last = first["sessions"][0]["session_id"].as_str().unwrap();
    let next = titles(&gateway, &format!("q=tent&limit=1&before={last}")).await;
    assert_eq!(next, (vec![json!("A tent")], json!(false)));
    assert_eq!(titles(&gateway, "q=%25").await.0, [json!("100 % wool")]);
    for wrong in ["q=".to_owned(), "q=%00".to_owned(), format!("q={}", "x".repeat(201))] {
        let (status, problem) = gateway.get(&format!("/api/v1/sessions?{wrong}")).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_field")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("`q`"), "{problem}");
    }
}
