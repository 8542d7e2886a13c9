//! Sets of keys that are none, or have none that can be used: nothing comes in by them, and who has another key does not
//! notice.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    auth::{get, now, setup, token},
    harness::{KeyAnswer, KeyServer, Maker, Neighbour},
};

/// What is published where keys should be · what `rivulet check` says of it · how many keys are known then.
fn sets(maker: &Maker, elsewhere: &str) -> Vec<(&'static str, KeyAnswer, &'static str, u64)> {
    let text = |text: &str| KeyAnswer::Text(StatusCode::OK, text.to_owned());
    let key = maker.jwk("k").to_string();
    let keys = |count: usize| text(&format!("{{\"keys\":[{}{key}]}}", format!("{key},").repeat(count - 1)));
    let empty_keys = format!("{{\"keys\":[{}{{}}]}}", "{},".repeat(79_999));
    let mut encrypting: Value = maker.jwk("k");
    encrypting["use"] = "enc".into();
    vec![
        ("a page", text("<!doctype html><title>Sign in</title>"), "no set of keys", 0),
        ("nothing", text(""), "no set of keys", 0),
        ("a list", text(&format!("[{key}]")), "no set of keys", 0),
        ("one key, as it is", text(&key), "no set of keys", 0),
        ("keys that are no list", text(&format!("{{\"keys\":{key}}}")), "no set of keys", 0),
        ("no keys", text("{\"keys\":[]}"), "no key that can be used", 0),
        ("a key that encrypts", KeyAnswer::Keys(vec![encrypting]), "no key that can be used", 0),
        ("a name twice", keys(2), "no key that can be used", 0),
        ("a name a hundred times", keys(100), "no key that can be used", 0),
        ("a hundred and one", keys(101), "more than 100 keys", 0),
        ("80,000 that are none", text(&empty_keys), "more than 100 keys", 0),
        ("100,000 keys", keys(100_000), "more than 256 KiB", 0),
        ("an address", KeyAnswer::Elsewhere(elsewhere.to_owned()), "the answer was 302 Found", 0),
        (
            "an excuse",
            KeyAnswer::Text(StatusCode::INTERNAL_SERVER_ERROR, format!("{{\"keys\":[{key}]}}")),
            "the answer was 500",
            0,
        ),
        ("not now", KeyAnswer::Never, "not there within 10 seconds", 0),
        ("the key", KeyAnswer::Keys(vec![maker.jwk("k")]), "has 1 keys", 1),
    ]
}

#[tokio::test]
async fn what_is_no_set_of_keys_opens_nothing_and_closes_nothing() {
    let maker = Maker::ec();
    let elsewhere = KeyServer::of(vec![maker.jwk("k")]).await;
    for (what, answer, said, known) in sets(&maker, &elsewhere.url) {
        let server = KeyServer::start(answer).await;
        let setup = setup().set("RIVULET_AUTH_JWKS_URL", &server.url);
        let checked = setup.output(&["check"]).await;
        let told = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(checked.status.success() && told.contains("auth.jwks_url") && told.contains(said), "{what}: {told}");
        let (gateway, mut neighbour) = Neighbour::beside(setup, async |_| Some(token("ann"))).await;
        let theirs = maker.token(&maker.header("k"), &json!({"sub": "eve", "exp": now() + 600}));
        let expected = if known == 1 { 200 } else { 401 };
        assert_eq!(get(&gateway, "/api/v1/sessions", &theirs).await.0, expected, "{what}");
        assert_eq!(get(&gateway, "/api/v1/sessions", &token("ben")).await.0, 200, "{what}");
        assert_eq!(gateway.get("/health").await.1["components"]["keys"]["known"], known, "{what}");
        neighbour.goes_on().await;
    }
    assert_eq!(elsewhere.hits(), 0, "nobody follows");
}
