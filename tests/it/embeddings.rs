//! `/v1/embeddings` with the real model: vectors of texts, in both forms, and what is refused.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    documents::setup,
    harness::{Setup, TestGateway, soon},
};

async fn ask(gateway: &TestGateway, body: &Value) -> (u16, Option<u32>, Value) {
    let asked = reqwest::Client::new().post(gateway.url("/v1/embeddings")).json(body).send();
    let answer = soon("vectors", asked).await.unwrap();
    let wait = answer.headers().get("retry-after").map(|wait| wait.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), wait, answer.json().await.unwrap())
}

fn floats(embedding: &Value) -> Vec<f32> {
    serde_json::from_value(embedding["embedding"].clone()).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn texts_become_vectors_that_can_be_compared() {
    let gateway = setup().start().await;
    let (_, models) = gateway.get("/v1/models").await;
    let model = models["data"].as_array().unwrap().last().unwrap()["id"].clone();
    let long = "word ".repeat(2000);
    let texts =
        json!(["How long can a tent be returned?", "Returning a tent: the time limit", "A recipe of bread", long]);
    let body = json!({"model": model, "input": texts, "dimensions": null, "user": "ann"});
    // While it is being loaded, it is said when to come again.
    let told = soon("the model", async {
        loop {
            let (status, wait, told) = ask(&gateway, &body).await;
            if status == 200 {
                return told;
            }
            assert_eq!((status, told["error"]["code"].as_str(), wait.is_some()), (503, Some("busy"), true), "{told}");
        }
    })
    .await;
    assert_eq!((&told["object"], &told["model"], &told["rivulet"]), (&json!("list"), &model, &json!({"cut": [3]})));
    let data = told["data"].as_array().unwrap();
    let vectors: Vec<_> = data.iter().map(floats).collect();
    assert_eq!(data.iter().map(|one| one["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(vectors.iter().all(|vector| vector.len() == 384 && (cosine(vector, vector) - 1.0).abs() < 1e-3));
    assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]) + 0.2);
    let tokens = told["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!((270..330).contains(&tokens) && told["usage"]["total_tokens"] == tokens, "{}", told["usage"]);

    let one = json!({"model": model, "input": texts[0], "encoding_format": "base64", "dimensions": 384});
    let (status, _, told) = ask(&gateway, &one).await;
    let bytes = STANDARD.decode(told["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let vector: Vec<_> = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert!(status == 200 && cosine(&vector, &vectors[0]) > 0.999, "the same, whoever it is embedded with");

    for (fields, status, code, param) in [
        (json!({"model": "text-embedding-3-small"}), 404, "model_not_found", "model"),
        (json!({"dimensions": 256}), 400, "invalid_field", "dimensions"),
        (json!({"input": [[1, 2, 3]]}), 400, "unsupported_parameter", "input[0]"),
        (json!({"input": ""}), 400, "empty_text", "input"),
        (json!({"input": vec!["x"; 257]}), 400, "invalid_field", "input"),
    ] {
        let mut body = body.clone();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (told, _, error) = ask(&gateway, &body).await;
        assert_eq!((told, error["error"]["code"].as_str()), (status, Some(code)), "{error}");
        assert_eq!(error["error"]["param"], param);
    }
}

#[tokio::test]
async fn many_at_once_are_refused_with_a_time_and_nobody_else_waits() {
    let gateway = setup().start().await;
    let model = gateway.get("/v1/models").await.1["data"].as_array().unwrap().last().unwrap()["id"].clone();
    let body = json!({"model": model, "input": vec!["Some words that have to be read. ".repeat(30); 8]});
    let small = json!({"model": model, "input": "Hello"});
    soon("the model", async { while ask(&gateway, &small).await.0 != 200 {} }).await;
    let asked = futures_util::future::join_all((0..24).map(|_| async {
        let answer = ask(&gateway, &body).await;
        (answer.0, answer.1)
    }));
    let alive = async {
        let mut client = gateway.connect().await;
        client.ping_pong().await;
        assert_eq!(gateway.get("/livez").await.0, 200);
    };
    let (answers, ()) = tokio::join!(asked, alive);
    assert!(answers.iter().all(|answer| *answer == (200, None) || *answer == (503, Some(2))), "{answers:?}");
    let made = answers.iter().filter(|(status, _)| *status == 200).count();
    assert!((2..24).contains(&made), "{answers:?}");
}

#[tokio::test]
async fn without_a_model_it_is_said_so() {
    let none = Setup::bare().start().await;
    let body = json!({"model": "all-MiniLM-L6-v2", "input": "Hello"});
    assert_eq!(ask(&none, &body).await.0, 404);
    let empty = Setup::bare().set("RIVULET_KNOWLEDGE_ENABLED", "true");
    let folder = empty.data.path().join("none").display().to_string();
    let gateway = empty.set("RIVULET_KNOWLEDGE_MODEL_DIR", &folder).start().await;
    let model = gateway.get("/v1/models").await.1["data"].as_array().unwrap().last().unwrap()["id"].clone();
    let told = soon("the failure", async {
        loop {
            let told = ask(&gateway, &json!({"model": model, "input": "Hello"})).await;
            if told.2["error"]["code"] != "busy" {
                return told;
            }
        }
    })
    .await;
    assert_eq!((told.0, told.1, told.2["error"]["code"].as_str()), (503, Some(30), Some("knowledge_unavailable")));
}
