//! `/openapi.json` as a document: whole in itself, and of the gateway that shows it. Whether answers are as it says is
//! tried by `tests/openapi`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::Setup;

/// Everything in `value` that stands under `name`.
fn all<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if field == name {
                    found.push(value);
                }
                all(value, name, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| all(value, name, found)),
        _ => {}
    }
}

async fn document(setup: Setup) -> Value {
    let gateway = setup.start().await;
    let (status, document) = gateway.get("/openapi.json").await;
    assert_eq!(status, 200);
    document
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    let document = document(Setup::bare()).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 200, "{}", references.len());
    for reference in references {
        let at = reference.as_str().unwrap().strip_prefix('#').expect("it is in this document");
        assert!(document.pointer(at).is_some(), "{at}");
    }
    let mut names = Vec::new();
    all(&document["paths"], "operationId", &mut names);
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<BTreeSet<_>>().len(), names.len());
    let mut said = Vec::new();
    all(&document["paths"], "summary", &mut said);
    assert_eq!(said.len(), names.len(), "each says what it does");
    for responses in document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        assert!(responses["responses"]["default"].is_object(), "each can fail: {responses}");
    }
}

#[tokio::test]
async fn who_may_is_said_as_it_is() {
    let secret = "a secret that only these tests know";
    let scopes = |document: &Value| -> BTreeMap<String, Value> {
        let paths = document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, operations)| {
            let operations = operations.as_object().unwrap().iter();
            operations.map(move |(method, operation)| (format!("{method} {path}"), operation["security"].clone()))
        });
        all.collect()
    };
    let open = scopes(&document(Setup::bare()).await);
    let guarded = Setup::bare().set("JWT_SECRET_KEY", secret).set("REQUIRE_AUTHENTICATION", "true");
    let guarded = scopes(&document(guarded).await);
    for (operation, security) in [
        ("post /api/v1/chat", json!([{"bearer": ["chat"]}])),
        ("get /api/v1/documents", json!([{"bearer": ["knowledge:read"]}])),
        ("delete /api/v1/documents/{id}", json!([{"bearer": ["knowledge:write"]}])),
        ("get /api/v1/admin/audit", json!([{"bearer": ["admin"]}])),
        ("post /api/v1/admin/drain", json!([{"bearer": ["admin:tenants"]}])),
        ("post /api/v1/documents/{id}/release", json!([{"bearer": ["admin"]}])),
        ("post /api/v1/auth/token", json!([{"bearer": ["admin"]}])),
        ("post /api/v1/tickets", json!([{"bearer": []}])),
        ("post /v1/chat/completions", json!([{"bearer": ["chat"]}])),
        ("get /api/v1/sessions/{id}/events", json!([{"bearer": ["chat"]}, {"ticket": []}])),
        ("get /livez", Value::Null),
    ] {
        assert_eq!(guarded[operation], security, "{operation}");
        let mut also_nobody = security.clone();
        if let Some(ways) = also_nobody.as_array_mut() {
            ways.push(json!({}));
        }
        assert_eq!(open[operation], also_nobody, "{operation}");
    }
}
