//! Two tenants, and nothing that crosses from one to the other.

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;
use crate::harness::{Neighbour, Seed};

pub(super) const SECRET: &str = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";

/// Somebody of whom `rivulet token` is told this.
pub(super) async fn user(gateway: &TestGateway, who: &[&str]) -> User {
    let made = gateway.setup().output(&[&["token"], who].concat()).await;
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    User { token: Some(token), ..User::of(gateway) }
}

/// A 404 without what differs in any case.
fn shape((status, problem): (u16, Value)) -> (u16, Value, Value, Value) {
    (status, problem["code"].clone(), problem["title"].clone(), problem["detail"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_never_crosses() {
    let seed = Seed::new();
    let mut rng = SmallRng::seed_from_u64(seed.0);
    let setup = setup().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", SECRET);
    let setup = setup.set("RIVULET_LLM_CACHE_ENTRIES", "100").set("RIVULET_LLM_CACHE_SHARED", "true");
    let other = ["--tenant", "east", "--user", "neighbour"];
    let (gateway, mut neighbour) = Neighbour::beside(setup, async |gateway| user(gateway, &other).await.token).await;
    let north = user(&gateway, &["--tenant", "north", "--user", "ann", "--scope", "admin"]).await;
    let colleague = user(&gateway, &["--tenant", "north", "--user", "bob"]).await;
    let south = user(&gateway, &["--tenant", "south", "--user", "ann"]).await;
    assert_eq!(User::of(&gateway).get("/documents").await.0, 401);

    let text = "# Secret\n\nThe canary is called pilfink.";
    let document = north.add("a.md", text).await;
    let (_, jobs) = north.get("/jobs").await;
    let job = jobs["jobs"][0]["job"].as_str().unwrap().to_owned();
    assert!(colleague.finds("pilfink").await, "a tenant has its documents together");
    for (method, known, unknown) in [
        (Method::GET, format!("/documents/{document}"), "/documents/00000000000000000000000000000000".to_owned()),
        (Method::DELETE, format!("/documents/{document}"), "/documents/x".to_owned()),
        (Method::GET, format!("/documents/{document}/text"), "/documents/x/text".to_owned()),
        (Method::GET, format!("/documents/{document}/passages/0"), "/documents/x/passages/0".to_owned()),
        (Method::GET, format!("/documents/{document}/original"), "/documents/x/original".to_owned()),
        (Method::GET, format!("/documents/{document}/versions"), "/documents/x/versions".to_owned()),
        (Method::POST, format!("/documents/{document}/rollback"), "/documents/x/rollback".to_owned()),
        (Method::POST, format!("/documents/{document}/release"), "/documents/x/release".to_owned()),
        (Method::GET, format!("/documents?before={document}"), "/documents?before=x".to_owned()),
        (Method::GET, format!("/jobs/{job}"), "/jobs/x".to_owned()),
        (Method::GET, format!("/jobs/{job}/events"), "/jobs/x/events".to_owned()),
        (Method::POST, format!("/jobs/{job}/cancel"), "/jobs/x/cancel".to_owned()),
        (Method::POST, format!("/jobs/{job}/retry"), "/jobs/x/retry".to_owned()),
        (Method::GET, format!("/jobs?before={job}"), "/jobs?before=x".to_owned()),
    ] {
        let (theirs, none) = (south.call(method.clone(), &known).await, south.call(method, &unknown).await);
        assert_eq!(shape(theirs), shape(none), "{known}");
        neighbour.goes_on().await;
    }
    let form_of = |name: &str| form(&[("file", Some(name), text.as_bytes())]);
    let (theirs, none) = (format!("/documents/{document}"), "/documents/00000000000000000000000000000000".to_owned());
    let put = async |path: &str| shape(south.send(Method::PUT, path, form_of("a.md")).await);
    assert_eq!(put(&theirs).await, put(&none).await);
    // The same bytes are news to whoever sends them, however known they are to others.
    let (status, accepted) = south.upload("a.md", text).await;
    assert_eq!((status, accepted["document"] == json!(document)), (202, false));
    assert_eq!(south.ended(accepted["job"].as_str().unwrap()).await["state"], "done");
    assert_eq!(
        south.call(Method::DELETE, &format!("/documents/{}", accepted["document"].as_str().unwrap())).await.0,
        204
    );
    assert!(north.finds("pilfink").await && !south.finds("pilfink").await);

    // Nor does the state of what one searches tell what another one deletes.
    let state =
        async || south.post("/rag/query", json!({"query": "pilfink", "mode": "text"})).await.1["version"].clone();
    let before = state().await;
    let gone = north.add("gone.md", "# Gone").await;
    assert_eq!(north.call(Method::DELETE, &format!("/documents/{gone}")).await.0, 204);
    assert_eq!(state().await, before);

    // Beside the canary there is something that is shared now and then, and only then found, and by one other.
    let west = user(&gateway, &["--tenant", "west", "--user", "ann"]).await;
    let parts =
        [("collection", None, "shop".as_bytes()), ("file", Some("s.md"), b"# Shop\n\nThe tent is called brillig.")];
    let (_, accepted) = north.send(Method::POST, "/documents", form(&parts)).await;
    assert_eq!(north.ended(accepted["job"].as_str().unwrap()).await["state"], "done");
    let on_sale = accepted["document"].as_str().unwrap().to_owned();
    let mut is_shared = false;
    let mut own: Vec<String> = Vec::new();
    for n in 0..40 {
        match rng.random_range(0..8) {
            0 | 1 => own.push(south.add(&format!("{}.md", rng.random_range(0..5)), &format!("# Text {n}")).await),
            2 => {
                if let Some(id) = own.pop() {
                    let (status, _) = south.call(Method::DELETE, &format!("/documents/{id}")).await;
                    assert!(status == 204 || status == 404, "{status}");
                }
            }
            3 => {
                north.add(&format!("{n}.md"), &format!("# pilfink {n}")).await;
            }
            4 => assert!(!south.finds("pilfink").await),
            5 => {
                is_shared = rng.random();
                let readers = if is_shared { json!(["south"]) } else { json!([]) };
                let request = north.request(Method::PUT, "/collections/shop/readers");
                assert_eq!(TestGateway::answer(request.json(&json!({"readers": readers}))).await.0, 200);
            }
            _ => {
                let mode = MODES[rng.random_range(0..3)];
                let asked = json!({"query": "brillig", "mode": mode, "collection": "north/shop"});
                let (status, found) = south.post("/rag/query", asked.clone()).await;
                let expected = if is_shared { 200 } else { 404 };
                assert_eq!((status, found.to_string().contains(&on_sale)), (expected, is_shared), "{mode}: {found}");
                let read = south.get(&format!("/documents/{on_sale}/text")).await.0;
                let listed = south.get("/documents?collection=north/shop").await.0;
                let told = south.get("/collections").await.1.to_string().contains("north/shop");
                assert_eq!((read, listed, told), (expected, expected, is_shared));
                let none = json!({"query": "brillig", "mode": mode, "collection": "north/none"});
                assert_eq!(shape(west.post("/rag/query", asked).await), shape(west.post("/rag/query", none).await));
                assert_eq!(shape(west.get(&format!("/documents/{on_sale}")).await).0, 404);
            }
        }
        for path in ["/documents?limit=200", "/jobs?limit=200", "/collections"] {
            let told = south.get(path).await.1.to_string();
            assert!(!told.contains(&document) && !told.contains(&job) && !told.contains("pilfink"), "{path}: {told}");
        }
        neighbour.goes_on().await;
    }
    assert!(!south.finds("pilfink").await && north.finds("pilfink").await);
    neighbour.has_all().await;
}
