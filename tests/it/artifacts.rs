//! What tools make: kept with the conversation, given to its owner alone, and gone in its time. Over real sockets, with a
//! model's server that calls a tool which writes letters, and with a reader of PDF that reads them.

use std::fs;

use reqwest::{Client as Http, Response};
use rivulet::mock_llm::Options;
use serde_json::{Value, json};

use crate::{
    auth,
    harness::{Client, Setup, TestGateway, Upstream, soon, upstream},
};

const BANK: &str = include_str!("../assistants/bank.toml");
const LETTER: &str = include_str!("../assistants/letter.txt");

/// With an assistant that writes letters.
fn lending(setup: Setup) -> Setup {
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("bank.toml"), BANK).unwrap();
    fs::write(folder.join("letter.txt"), LETTER).unwrap();
    setup
}

async fn model() -> Upstream {
    upstream(Options { rate: 0.0, ..Options::default() }).await
}

fn socket(gateway: &TestGateway) -> String {
    format!("{}?assistant=bank", gateway.socket(""))
}

fn letter(name: &str, note: &str) -> String {
    let arguments = json!({"name": name, "principal": 500_000, "months": 36, "note": note});
    format!("call sanction_letter {arguments}")
}

/// The results of all calls of an answer.
async fn results(client: &mut Client, question: &str) -> Vec<Value> {
    client.say(question).await;
    let mut results = Vec::new();
    loop {
        let frame = client.frame().await;
        match frame["type"].as_str().unwrap() {
            "tool.result" => results.push(frame),
            "run.done" => return results,
            _ => {}
        }
    }
}

async fn result(client: &mut Client, question: &str) -> Value {
    let mut results = results(client, question).await;
    assert_eq!(results.len(), 1, "{results:?}");
    results.remove(0)
}

fn id(result: &Value) -> String {
    result["artifacts"][0]["artifact"].as_str().unwrap_or_else(|| panic!("no file: {result}")).to_owned()
}

async fn get(gateway: &TestGateway, id: &str, token: Option<&str>) -> Response {
    let request = Http::new().get(gateway.url(&format!("/api/v1/artifacts/{id}")));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    request.send().await.unwrap()
}

async fn status(gateway: &TestGateway, id: &str, token: Option<&str>) -> u16 {
    get(gateway, id, token).await.status().as_u16()
}

fn text(pdf: &[u8]) -> String {
    unpdf::parse_bytes(pdf).expect("a PDF").plain_text()
}

#[tokio::test]
async fn a_letter_is_written_kept_and_given_to_its_owner_alone() {
    let upstream = model().await;
    let setup = auth::setup().set("RIVULET_LLM_BASE_URL", &upstream.url);
    let gateway = lending(setup).start().await;
    let (ann, ben) = (auth::token("ann"), auth::token("ben"));
    let mut client = Client::connect_as(&socket(&gateway), &ann).await;
    let result = result(&mut client, &letter("Asha Rao", "# No heading {emi} | x |\n(and) \\ ) Tj")).await;
    assert_eq!(
        (&result["status"], &result["summary"]),
        (&json!("ok"), &json!("Sanction letter.pdf, 1 page")),
        "{result}"
    );
    let made = result["artifacts"][0].clone();
    assert_eq!(
        (&made["kind"], &made["title"], &made["media"]),
        (&json!("file"), &json!("Sanction letter.pdf"), &json!("application/pdf"))
    );
    assert_eq!(
        result["data"],
        json!({"document": "Sanction letter.pdf", "pages": 1, "emi": 16251.22, "total": 585_043.92})
    );
    let id = id(&result);

    let response = get(&gateway, &id, Some(&ann)).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/pdf");
    let disposition = "attachment; filename=\"Sanction letter.pdf\"; filename*=UTF-8''Sanction%20letter.pdf";
    assert_eq!(header("content-disposition"), disposition);
    assert_eq!(
        (header("x-content-type-options"), header("cache-control")),
        ("nosniff".into(), "private, no-cache".into())
    );
    let pdf = response.bytes().await.unwrap();
    assert_eq!(pdf.len() as u64, made["bytes"].as_u64().unwrap());
    let read = text(&pdf);
    for part in [
        "Dear Asha Rao,",
        "Rs. 500,000",
        "10.5",
        "Rs. 16,251.22",
        "Rs. 585,043.92",
        "# No heading {emi} | x |",
        "(and) \\ ) Tj",
    ] {
        assert!(read.contains(part), "{part} in {read}");
    }

    for other in [Some(ben.as_str()), None] {
        let expected = if other.is_some() { 404 } else { 401 };
        assert_eq!(status(&gateway, &id, other).await, expected);
    }
    for wrong in ["f_0", "x%0a", &"f".repeat(99)] {
        assert_eq!(status(&gateway, wrong, Some(&ann)).await, 404);
    }

    // It is with the message, and there after a restart, for as long as the conversation is.
    let gateway = gateway.kill().await.start().await;
    let session = client.session();
    let url = gateway.url(&format!("/api/v1/sessions/{session}"));
    let shown: Value = Http::new().get(&url).bearer_auth(&ann).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["messages"][1]["tools"][0]["artifacts"], json!([made]));
    assert_eq!(get(&gateway, &id, Some(&ann)).await.bytes().await.unwrap(), pdf);
    assert_eq!(Http::new().delete(&url).bearer_auth(&ann).send().await.unwrap().status(), 204);
    assert_eq!(status(&gateway, &id, Some(&ann)).await, 404);

    // The model was told what is in it, and not where it lies.
    let asked: Value = serde_json::from_slice(&upstream.stats.requests().last().unwrap().body).unwrap();
    let told = asked["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
    assert!(told.contains("16251.22") && !told.contains("f_"), "{told}");
    assert!(asked["tools"][0]["function"]["description"].as_str().unwrap().contains("do not link to it"));
}

#[tokio::test]
async fn what_no_letter_can_have_is_named_and_what_is_long_takes_more_pages() {
    let upstream = model().await;
    let gateway = lending(Setup::with_upstream(&upstream.url)).start().await;
    let mut client = Client::connect(&socket(&gateway)).await;
    let refused = result(&mut client, &letter("आशा", "")).await;
    assert_eq!(refused["status"], "invalid");
    let summary = refused["summary"].as_str().unwrap();
    assert!(summary.starts_with("name: ") && summary.contains("\"आ\" (U+0906)"), "{summary}");
    assert!(refused.get("artifacts").is_none());
    let refused = result(&mut client, &letter("Asha", &"x".repeat(10_001))).await;
    assert_eq!(
        (&refused["status"], &refused["summary"]),
        (&json!("invalid"), &json!("note: at most 10000 characters"))
    );
    for (note, least) in [("many words ".repeat(900), 3), ("W".repeat(10_000), 4), ("one\r\ntwo\n".repeat(100), 3)] {
        let written = result(&mut client, &letter("Zoë “the bank’s” O'Brien – ₹", &note)).await;
        assert!(written["data"]["pages"].as_u64().unwrap() >= least, "{written}");
        let read = text(&get(&gateway, &id(&written), None).await.bytes().await.unwrap());
        assert!(read.contains("Zoë “the bank’s” O'Brien – Rs."), "{read}");
    }
    let endless = result(&mut client, &letter("Asha", &"a\n".repeat(5_000))).await;
    assert_eq!((&endless["status"], &endless["summary"]), (&json!("error"), &json!("the document would be too long")));
}

#[tokio::test]
async fn the_newest_stay_and_old_ones_go() {
    let upstream = model().await;
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_ARTIFACTS_KEEP", "3");
    let gateway = lending(setup).start().await;
    let mut client = Client::connect(&socket(&gateway)).await;
    let mut ids = Vec::new();
    for name in ["one", "two", "three", "four"] {
        ids.push(id(&result(&mut client, &letter(name, "")).await));
    }
    let mut there = Vec::new();
    for id in &ids {
        there.push(status(&gateway, id, None).await);
    }
    assert_eq!(there, [404, 200, 200, 200]);

    let setup = gateway.kill().await;
    let database = rusqlite::Connection::open(setup.data.path().join("data/rivulet.db")).unwrap();
    database.execute("UPDATE artifacts SET created_at = 1 WHERE id = ?1", [&ids[2]]).unwrap();
    drop(database);
    let gateway = setup.start().await;
    soon("it is swept", async {
        while status(&gateway, &ids[2], None).await != 404 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((status(&gateway, &ids[1], None).await, status(&gateway, &ids[3], None).await), (200, 200));
}

#[tokio::test]
async fn what_cannot_be_kept_is_an_error_that_says_so() {
    let upstream = model().await;
    let gateway = lending(Setup::with_upstream(&upstream.url)).start().await;
    let body = json!({"model": "assistant:bank", "messages": [{"role": "user", "content": letter("Asha", "")}]});
    let (status, answer) = gateway.post("/v1/chat/completions", body).await;
    assert_eq!(status, 200, "{answer}");
    let asked: Value = serde_json::from_slice(&upstream.stats.requests().last().unwrap().body).unwrap();
    let told = asked["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
    assert!(told.contains("cannot be kept: this answer is in no conversation"), "{told}");
}

#[tokio::test]
async fn a_letter_that_binds_somebody_is_written_when_it_was_allowed() {
    let upstream = model().await;
    let setup = lending(Setup::with_upstream(&upstream.url));
    let binding = BANK.replace("effect = \"read\"", "effect = \"write\"");
    fs::write(setup.data.path().join("assistants/bank.toml"), binding).unwrap();
    let gateway = setup.start().await;
    let mut client = Client::connect(&socket(&gateway)).await;
    client.say(&letter("Asha Rao", "")).await;
    let [request, done] = client.until_all(["approval.request", "run.done"]).await;
    assert_eq!(done["status"], "awaiting_approval");
    let approval = &request["approval"];
    let decision = json!({"type": "approve", "id": "d", "approval": approval["id"], "digest": approval["digest"], "decision": "approved"});
    client.tell(decision).await;
    let [written, done] = client.until_all(["tool.result", "run.done"]).await;
    assert_eq!((&written["status"], &done["status"]), (&json!("ok"), &json!("complete")), "{written}");
    let pdf = get(&gateway, &id(&written), None).await.bytes().await.unwrap();
    assert!(text(&pdf).contains("Rs. 16,251.22"));
    let (_, shown) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    let messages = shown["messages"].as_array().unwrap();
    assert_eq!(messages.last().unwrap()["tools"][0]["artifacts"], written["artifacts"]);
}
