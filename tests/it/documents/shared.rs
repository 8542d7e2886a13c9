//! Collections that another tenant may read: found by both, changed by one.

use super::{
    tenants::{SECRET, user},
    *,
};
use crate::harness::Neighbour;

const SHOP: &str = "north/shop";
const TEXT: &str = "# Tents\n\nThe pilfink is a tent for two.";

struct Shop {
    gateway: TestGateway,
    /// Somebody of another tenant, who has nothing to do with it.
    neighbour: Neighbour,
    /// Whose it is,
    owner: User,
    /// who may read it,
    reader: User,
    /// and who may not.
    stranger: User,
    document: String,
}

impl Shop {
    /// A collection with one document, read by nobody yet.
    async fn open() -> Self {
        let setup = setup().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", SECRET);
        let setup = setup.set("RIVULET_LLM_CACHE_ENTRIES", "100").set("RIVULET_LLM_CACHE_SHARED", "true");
        let other = ["--tenant", "east", "--user", "neighbour"];
        let (gateway, neighbour) = Neighbour::beside(setup, async |gateway| user(gateway, &other).await.token).await;
        let owner = user(&gateway, &["--tenant", "north", "--user", "ann", "--scope", "admin"]).await;
        let reader = user(&gateway, &["--tenant", "south", "--user", "bob", "--scope", "admin"]).await;
        let stranger = user(&gateway, &["--tenant", "west", "--user", "eve", "--scope", "admin"]).await;
        let parts = [("collection", None, "shop".as_bytes()), ("file", Some("tents.md"), TEXT.as_bytes())];
        let (_, accepted) = owner.send(Method::POST, "/documents", form(&parts)).await;
        owner.ended(accepted["job"].as_str().unwrap()).await;
        let document = accepted["document"].as_str().unwrap().to_owned();
        Self { gateway, neighbour, owner, reader, stranger, document }
    }
}

impl User {
    async fn share(&self, name: &str, readers: &[&str]) -> (u16, Value) {
        let body = json!({ "readers": readers });
        TestGateway::answer(self.request(Method::PUT, &format!("/collections/{name}/readers")).json(&body)).await
    }

    /// What a search for the tent comes to.
    async fn search(&self, mode: &str, collection: &str) -> (u16, Value) {
        self.post("/rag/query", json!({"query": "pilfink", "mode": mode, "collection": collection})).await
    }
}

/// A refusal without what differs in any case.
fn refusal((status, problem): (u16, Value)) -> (u16, String, String) {
    let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("detail"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shared_is_found_by_both_and_changed_by_one() {
    let Shop { gateway, owner, reader, document, .. } = Shop::open().await;
    assert_eq!(reader.search("text", SHOP).await.0, 404);
    assert_eq!(owner.share("shop", &["south"]).await, (200, json!({"name": "shop", "readers": ["south"]})));
    for mode in MODES {
        let both = [owner.found("pilfink", mode, "shop").await, reader.found("pilfink", mode, SHOP).await];
        assert_eq!(both, [[document.clone()], [document.clone()]], "{mode}");
        assert_eq!(owner.found("pilfink", mode, SHOP).await.len(), 1, "it may be called so by all");
        assert_eq!(reader.found("pilfink", mode, "shop").await, [""; 0], "a name alone is that of one's own");
    }
    let of = async |who: &User, name: &str| {
        let told = who.get("/collections").await.1;
        let all = told["collections"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}: {told}"))
    };
    assert_eq!(of(&owner, "shop").await["readers"], json!(["south"]));
    let seen = of(&reader, SHOP).await;
    assert_eq!((&seen["shared"], &seen["documents"], &seen["readers"]), (&json!(true), &json!(1), &Value::Null));
    assert_eq!(seen["index"]["chunks"], 1);

    let listed = reader.get(&format!("/documents?collection={SHOP}")).await.1;
    assert_eq!(listed["documents"][0]["document"], document);
    assert_eq!(listed["documents"][0]["collection"], SHOP);
    let path = format!("/documents/{document}");
    let shown = reader.get(&path).await.1;
    assert_eq!((&shown["title"], &shown["collection"], &shown["job"]), (&json!("Tents"), &json!(SHOP), &Value::Null));
    assert_eq!(reader.get(&format!("{path}/passages/0")).await.1["text"], "The pilfink is a tent for two.");
    for part in ["text", "original"] {
        let response = reader.request(Method::GET, &format!("{path}/{part}")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().await.unwrap().contains("pilfink")), (200, true));
    }
    assert_eq!(reader.get("/documents").await.1["documents"], json!([]), "it is not one of its own");
    assert_eq!(reader.get("/jobs").await.1["jobs"], json!([]));

    let file = |name: &str| form(&[("collection", None, name.as_bytes()), ("file", Some("new.md"), b"# New")]);
    let text = json!({"text": "# New", "title": "New", "collection": SHOP});
    let replacement = form(&[("file", Some("new.md"), b"# New")]);
    for (what, answer) in [
        ("upload", reader.send(Method::POST, "/documents", file(SHOP)).await),
        ("text", reader.post("/documents/text", text).await),
        ("replace", reader.send(Method::PUT, &path, replacement).await),
        ("delete", reader.call(Method::DELETE, &path).await),
        ("roll back", reader.post(&format!("{path}/rollback"), json!({})).await),
        ("release", reader.post(&format!("{path}/release"), json!({})).await),
        ("share on", reader.share("north%2Fshop", &["west"]).await),
        ("delete it all", reader.call(Method::DELETE, "/collections/north%2Fshop").await),
    ] {
        assert_eq!((answer.0, &answer.1["code"]), (403, &json!("read_only")), "{what}: {}", answer.1);
    }
    assert_eq!(owner.get(&path).await.1["version"], 1, "nothing has changed");

    // What its owner changes is read as it then is, and never in between.
    let (_, accepted) = owner.send(Method::PUT, &path, form(&[("file", Some("tents.md"), b"# Tents\n\nNone.")])).await;
    owner.ended(accepted["job"].as_str().unwrap()).await;
    assert_eq!(reader.found("pilfink", "text", SHOP).await, [""; 0]);
    let versions = reader.get(&format!("{path}/versions")).await.1;
    assert_eq!((&versions["versions"][0]["version"], &versions["versions"][1]), (&json!(2), &Value::Null));
    assert_eq!(reader.get(&format!("{path}/original?version=1")).await.0, 404, "what it was before is the owner's");

    // Whoever may change it may share it, with others, and so many.
    let colleague = user(&gateway, &["--tenant", "north", "--user", "bob"]).await;
    assert_eq!(colleague.share("shop", &["west"]).await.0, 403);
    let many: Vec<String> = (0..101).map(|n| format!("t{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for readers in [&["north"][..], &["a b"], &[""], &many] {
        let refused = owner.share("shop", readers).await;
        assert_eq!((refused.0, &refused.1["code"]), (400, &json!("invalid_field")), "{readers:?}");
    }
    assert_eq!(owner.share("none", &["south"]).await.0, 404);
    assert_eq!(owner.share("default", &["south"]).await.0, 200, "it is always there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_is_gone_at_once_and_in_every_cache() {
    let Shop { gateway: _running, mut neighbour, owner, reader, stranger, document } = Shop::open().await;
    let path = format!("/documents/{document}");
    for way in ["taken back", "deleted"] {
        assert_eq!(owner.share("shop", &["south"]).await.0, 200);
        for mode in MODES {
            for _ in 0..2 {
                assert_eq!(reader.found("pilfink", mode, SHOP).await.len(), 1, "{way}");
            }
        }
        match way {
            "deleted" => assert_eq!(owner.call(Method::DELETE, "/collections/shop").await.0, 204),
            _ => assert_eq!(owner.share("shop", &[]).await.0, 200),
        }
        for mode in MODES {
            let none = refusal(reader.search(mode, "north/none").await);
            assert_eq!(none, (404, "not_found".to_owned(), "there is no such collection".to_owned()));
            assert_eq!(refusal(reader.search(mode, SHOP).await), none, "{way}");
            assert_eq!(refusal(stranger.search(mode, SHOP).await), none, "{way}");
            neighbour.goes_on().await;
        }
        for (known, unknown) in [
            (path.clone(), "/documents/x".to_owned()),
            (format!("{path}/text"), "/documents/x/text".to_owned()),
            (format!("{path}/passages/0"), "/documents/x/passages/0".to_owned()),
            (format!("{path}/original"), "/documents/x/original".to_owned()),
            (format!("{path}/versions"), "/documents/x/versions".to_owned()),
            (format!("/documents?collection={SHOP}"), "/documents?collection=north/none".to_owned()),
        ] {
            let none = refusal(reader.get(&unknown).await);
            assert_eq!((refusal(reader.get(&known).await), none.0), (none.clone(), 404), "{way}: {known}");
            neighbour.goes_on().await;
        }
        let told = reader.get("/collections").await.1.to_string();
        assert!(!told.contains("north"), "{told}");
    }
    // One of the same name is another one.
    assert_eq!(owner.post("/collections", json!({"name": "shop"})).await.0, 201);
    assert_eq!(reader.search("text", SHOP).await.0, 404);
    neighbour.has_all().await;
}
