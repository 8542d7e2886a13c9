//! A document from its coming to its end.

use super::*;

#[tokio::test]
async fn a_document_comes_is_found_is_replaced_and_is_gone_for_good() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    let (status, accepted) = user.upload("colours.md", "# Colours\n\nThe code is zinnober.").await;
    assert_eq!(status, 202, "{accepted}");
    let (document, job) = (accepted["document"].as_str().unwrap(), accepted["job"].as_str().unwrap());
    let told = user.events(job).await;
    let revisions: Vec<_> = told.iter().map(|state| state["revision"].as_u64().unwrap()).collect();
    assert!(revisions.is_sorted_by(|a, b| a < b), "{told:?}");
    let (_, job) = user.get(&format!("/jobs/{job}")).await;
    assert_eq!((&job["state"], &job["done"], &job["total"]), (&json!("done"), &json!(1), &json!(1)));
    assert!(user.finds("zinnober").await);

    let (_, shown) = user.get(&format!("/documents/{document}")).await;
    for (field, value) in [
        ("status", json!("ready")),
        ("title", json!("Colours")),
        ("key", json!("colours.md")),
        ("version", json!(1)),
        ("indexed_version", json!(1)),
        ("chunks", json!(1)),
        ("media_type", json!("text/markdown")),
        ("encoding", json!("UTF-8")),
        ("warnings", json!([])),
    ] {
        assert_eq!(shown[field], value, "{field} of {shown}");
    }
    let (status, again) = user.upload("colours.md", "# Colours\n\nThe code is zinnober.").await;
    assert_eq!((status, &again["unchanged"], &again["document"]), (200, &json!(true), &json!(document)));

    let changed = user.add("colours.md", "# Colours\n\nThe code is azurblau.").await;
    assert_eq!(changed, document, "the same key is the same document");
    assert!(user.finds("azurblau").await && !user.finds("zinnober").await);
    let (_, versions) = user.get(&format!("/documents/{document}/versions")).await;
    let numbers: Vec<_> = versions["versions"].as_array().unwrap().iter().map(|v| v["version"].clone()).collect();
    assert_eq!((numbers, &versions["indexed_version"]), (vec![json!(2), json!(1)], &json!(2)));

    let (status, back) = user.post(&format!("/documents/{document}/rollback"), json!({"version": 1})).await;
    assert_eq!(status, 202, "{back}");
    user.ended(back["job"].as_str().unwrap()).await;
    assert!(user.finds("zinnober").await && !user.finds("azurblau").await);

    let put = form(&[("file", Some("other.md"), b"# Other\n\nThe code is smaragd."), ("title", None, b"My colours")]);
    let (status, put) = user.send(Method::PUT, &format!("/documents/{document}"), put).await;
    assert_eq!((status, &put["version"]), (202, &json!(4)), "{put}");
    user.ended(put["job"].as_str().unwrap()).await;
    assert!(user.finds("smaragd").await && !user.finds("zinnober").await);
    let (_, text) = user.get(&format!("/documents/{document}/text")).await;
    assert!(text.as_str().unwrap().contains("smaragd"), "{text}");
    let (_, passage) = user.get(&format!("/documents/{document}/passages/0")).await;
    assert_eq!((&passage["title"], &passage["version"]), (&json!("My colours"), &json!(4)));
    assert_eq!(user.get(&format!("/documents/{document}/passages/1")).await.0, 404);
    let original = user.request(Method::GET, &format!("/documents/{document}/original")).send().await.unwrap();
    assert_eq!(
        original.headers()["content-disposition"],
        "attachment; filename=\"other.md\"; filename*=UTF-8''other.md"
    );
    assert_eq!(original.headers()["x-content-type-options"], "nosniff");
    assert_eq!(original.text().await.unwrap(), "# Other\n\nThe code is smaragd.");

    assert_eq!(user.call(Method::DELETE, &format!("/documents/{document}")).await.0, 204);
    assert!(!user.finds("smaragd").await && !user.finds("zinnober").await && !user.finds("azurblau").await);
    for path in ["", "/text", "/passages/0", "/original", "/versions"] {
        let (status, problem) = user.get(&format!("/documents/{document}{path}")).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{path}");
    }
    assert_eq!(user.call(Method::DELETE, &format!("/documents/{document}")).await.0, 404);
    let setup = gateway.kill().await;
    let gateway = setup.start().await;
    let user = User::of(&gateway);
    crate::knowledge::until_loaded(&gateway).await;
    assert!(!user.finds("smaragd").await);
    assert_eq!(user.get("/documents").await.1["documents"], json!([]));
    until("its files to be gone", async || files(&gateway.setup(), "/blobs/").is_empty()).await;
    assert_eq!(files(&gateway.setup(), "/texts/"), Vec::<PathBuf>::new());
}

/// The answers that are kept go by the state of the knowledge, and a deletion changes it.
#[tokio::test]
async fn a_kept_answer_does_not_outlive_its_document() {
    let gateway = setup().set("RIVULET_LLM_CACHE_ENTRIES", "100").start().await;
    let user = User::of(&gateway);
    let document = user.add("tents.md", "# Tents\n\nA tent can be returned within sixtyseven days.").await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        assert!(client.ask("How long can a tent be returned?").await.text.contains("sixtyseven"));
        assert!(user.finds("sixtyseven").await);
    }
    assert_eq!(user.call(Method::DELETE, &format!("/documents/{document}")).await.0, 204);
    let answer = client.ask("How long can a tent be returned?").await;
    assert!(!answer.text.contains("sixtyseven") && answer.done.get("citations").is_none(), "{}", answer.text);
    assert!(!user.finds("sixtyseven").await);
}

#[tokio::test]
async fn the_dead_do_not_take_the_places_of_the_living() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    let mut documents = Vec::new();
    let mut jobs = Vec::new();
    for n in 0..40 {
        let (_, accepted) =
            user.upload(&format!("{n}.md"), &format!("# Badger {n}\n\nThe badger number {n} digs.")).await;
        documents.push(accepted["document"].as_str().unwrap().to_owned());
        jobs.push(accepted["job"].as_str().unwrap().to_owned());
    }
    for job in &jobs {
        assert_eq!(user.ended(job).await["state"], "done");
    }
    for document in &documents[..20] {
        assert_eq!(user.call(Method::DELETE, &format!("/documents/{document}")).await.0, 204);
    }
    for mode in MODES {
        let asked = json!({"query": "badger digs", "mode": mode, "top_k": 10});
        let (_, found) = user.post("/rag/query", asked).await;
        let found: Vec<_> =
            found["results"].as_array().unwrap().iter().map(|r| r["document"].as_str().unwrap()).collect();
        assert_eq!(found.len(), 10, "{mode}");
        assert!(found.iter().all(|one| documents[20..].iter().any(|living| living == one)), "{mode}");
    }
    let (_, first) = user.get("/documents?limit=15").await;
    let last = first["documents"][14]["document"].as_str().unwrap();
    let (_, second) = user.get(&format!("/documents?limit=15&before={last}")).await;
    assert_eq!((&first["more"], &second["more"]), (&json!(true), &json!(false)));
    assert_eq!(second["documents"].as_array().unwrap().len(), 5);
    // Within a minute every row is in the word index.
    until("the word index", async || {
        user.get("/collections").await.1["collections"][0]["index"]
            == json!({"state": "ready", "chunks": 20, "unindexed": 0})
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_file_eight_times_at_once_is_one_document_and_cancelling_it_takes_a_second() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    crate::knowledge::until_loaded(&gateway).await;
    let large: String =
        (0..85_000).map(|n| format!("This is paragraph {n} of a long text about the narwhal, no more.\n\n")).collect();
    assert!(large.len() > 5 << 20);
    let answers = futures_util::future::join_all((0..8).map(|_| user.upload("large.md", &large))).await;
    let ids: Vec<_> = answers.iter().map(|(_, answer)| (&answer["document"], &answer["job"])).collect();
    assert!(answers.iter().all(|(status, _)| *status == 202) && ids.iter().all(|id| *id == ids[0]), "{answers:?}");
    assert_eq!(files(&gateway.setup(), "/blobs/").len(), 1);
    let (document, job) = (ids[0].0.as_str().unwrap(), ids[0].1.as_str().unwrap());
    until("the work to begin", async || user.get(&format!("/jobs/{job}")).await.1["state"] == "running").await;

    let begun = tokio::time::Instant::now();
    let (status, cancelled) = user.post(&format!("/jobs/{job}/cancel"), json!({})).await;
    assert_eq!(status, 202, "{cancelled}");
    assert_eq!(user.ended(job).await["state"], "cancelled");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let (_, shown) = user.get(&format!("/documents/{document}")).await;
    assert_eq!((&shown["status"], &shown["error"]["code"]), (&json!("failed"), &json!("cancelled")));
    assert!(!user.finds("narwhal").await);
    user.add("small.md", "# Small\n\nThe walrus is next.").await;
    assert!(user.finds("walrus").await);

    // Begun again, and deleted while it is worked on.
    let (status, again) = user.post(&format!("/jobs/{job}/retry"), json!({})).await;
    assert_eq!(status, 202, "{again}");
    let again = again["job"].as_str().unwrap();
    until("the work to begin", async || user.get(&format!("/jobs/{again}")).await.1["state"] == "running").await;
    assert_eq!(user.call(Method::DELETE, &format!("/documents/{document}")).await.0, 204);
    assert_eq!(user.ended(again).await["state"], "cancelled");
    let (status, _) = user.post(&format!("/jobs/{again}/retry"), json!({})).await;
    assert_eq!(status, 409, "there is nothing left to work on");
    assert!(!user.finds("narwhal").await);
    user.add("small.md", "# Small\n\nThe sturgeon is next.").await;
    let (_, collections) = user.get("/collections").await;
    assert_eq!(collections["collections"][0]["index"]["chunks"], 1, "nothing came back");
}

#[tokio::test]
async fn a_collection_goes_with_all_that_is_in_it_and_its_name_is_free_again() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    assert_eq!(user.post("/collections", json!({"name": "shop"})).await.0, 201);
    assert_eq!(user.post("/collections", json!({"name": "shop"})).await.0, 200);
    assert_eq!(user.post("/collections", json!({"name": "../x"})).await.0, 400);
    let text = json!({"text": "The lynx sleeps.", "title": "Lynx", "collection": "shop", "metadata": {"a": 1}});
    let (status, accepted) = user.post("/documents/text", text).await;
    assert_eq!(status, 202, "{accepted}");
    assert_eq!(user.ended(accepted["job"].as_str().unwrap()).await["state"], "done");
    let document = accepted["document"].as_str().unwrap();
    assert_eq!(user.found("lynx", "text", "shop").await, [document]);
    assert!(user.found("lynx", "text", "default").await.is_empty());
    let (_, listed) = user.get("/documents?collection=shop").await;
    assert_eq!(
        (&listed["documents"][0]["metadata"], &listed["documents"][0]["key"]),
        (&json!({"a": 1}), &json!("Lynx"))
    );

    assert_eq!(user.call(Method::DELETE, "/collections/shop").await.0, 204);
    assert_eq!(user.call(Method::DELETE, "/collections/shop").await.0, 404);
    assert_eq!(user.call(Method::DELETE, "/collections/default").await.0, 409);
    assert!(user.found("lynx", "text", "shop").await.is_empty());
    assert_eq!(user.get(&format!("/documents/{document}")).await.0, 404);
    let text = json!({"text": "The marten runs.", "title": "Marten", "collection": "shop"});
    let (_, accepted) = user.post("/documents/text", text).await;
    assert_eq!(user.ended(accepted["job"].as_str().unwrap()).await["state"], "done");
    assert_eq!(user.found("marten", "hybrid", "shop").await.len(), 1);
    assert!(user.found("lynx", "text", "shop").await.is_empty());
}

#[tokio::test]
async fn a_failed_update_leaves_the_old_version_and_says_why() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    let document = user.add("notes.txt", "The heron waits.").await;
    let body = form(&[("key", None, b"notes.txt"), ("file", Some("notes.pdf"), b"%PDF-1.7 and nothing more")]);
    let (status, accepted) = user.send(Method::POST, "/documents", body).await;
    assert_eq!((status, &accepted["document"]), (202, &json!(document)), "{accepted}");
    let job = user.ended(accepted["job"].as_str().unwrap()).await;
    assert_eq!(
        (&job["state"], &job["error"]["code"], &job["attempts"]),
        (&json!("failed"), &json!("damaged"), &json!(1))
    );
    let (_, shown) = user.get(&format!("/documents/{document}")).await;
    assert_eq!(
        (&shown["status"], &shown["version"], &shown["indexed_version"]),
        (&json!("failed"), &json!(2), &json!(1))
    );
    assert_eq!(shown["error"]["code"], "damaged");
    assert!(user.finds("heron").await);
    let (_, failed) = user.get("/jobs?state=failed").await;
    assert_eq!(failed["jobs"].as_array().unwrap().len(), 1);
    let (status, retried) = user.post(&format!("/jobs/{}/retry", job["job"].as_str().unwrap()), json!({})).await;
    assert_eq!(status, 202, "{retried}");
    assert_eq!(user.ended(retried["job"].as_str().unwrap()).await["state"], "failed");

    let request = |text: &str| {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let body = form(&[("file", Some("once.md"), text.as_bytes())]);
        user.request(Method::POST, "/documents").header("content-type", kind).header("idempotency-key", "k1").body(body)
    };
    let first = TestGateway::answer(request("# One")).await;
    let second = TestGateway::answer(request("# One")).await;
    assert_eq!((first.0, &first.1["document"], &first.1["job"]), (202, &second.1["document"], &second.1["job"]));
    let other = TestGateway::answer(request("# Two")).await;
    assert_eq!((other.0, &other.1["code"]), (409, &json!("idempotency_conflict")));
}

/// Files below the data folder that have these bytes in them.
fn holding(gateway: &TestGateway, word: &str) -> Vec<PathBuf> {
    let has = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    };
    files(&gateway.setup(), "").into_iter().filter(has).collect()
}

#[tokio::test]
async fn of_an_erased_document_no_byte_is_left() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    user.add("stays.md", "# Stays\n\nThe quagga stays.").await;
    let document = user.add("xylocarp.md", "# Goes\n\nThe xylocarp goes.").await;
    user.add("xylocarp.md", "# Goes\n\nThe xylocarp goes, really.").await;
    user.add("more.md", "# More\n\nThe quagga has company.").await;
    assert!(!holding(&gateway, "xylocarp").is_empty());
    assert_eq!(user.call(Method::DELETE, &format!("/documents/{document}?erase=true")).await.0, 204);
    timeout(LONG, async {
        while !holding(&gateway, "xylocarp").is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("it is still in {:?}", holding(&gateway, "xylocarp")));
    assert!(!user.finds("xylocarp").await && user.finds("quagga").await);
    assert_eq!(user.found("quagga", "text", "default").await.len(), 2, "the rest is as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_work_that_is_not_needed_any_more_is_told() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    for name in ["one.md", "two.md"] {
        assert_eq!(user.upload(name, &long_text(name, 2000)).await.0, 202); // All who work have something to do.
    }
    until("both to be worked on", async || {
        user.get("/jobs?state=running").await.1["jobs"].as_array().unwrap().len() == 2
    })
    .await;
    let (_, waiting) = user.upload("three.md", "# Three").await;
    let job = waiting["job"].as_str().unwrap();
    let (told, ()) = tokio::join!(user.events(job), async {
        let (_, newer) = user.upload("three.md", "# Three, again").await;
        assert_eq!(newer["document"], waiting["document"]);
    });
    assert_eq!(told.last().unwrap()["state"], "cancelled");
    let (_, waiting) = user.get(&format!("/documents/{}", waiting["document"].as_str().unwrap())).await;
    let job = waiting["job"]["job"].as_str().unwrap();
    let (told, ()) = tokio::join!(user.events(job), async {
        let path = format!("/documents/{}", waiting["document"].as_str().unwrap());
        assert_eq!(user.call(Method::DELETE, &path).await.0, 204, "removals do not wait for the others");
    });
    assert_eq!(told.last().unwrap()["state"], "cancelled");
}

/// What is in files of the project's own, asked of the gateway as a visitor would.
#[tokio::test]
async fn documents_of_many_kinds_answer_and_say_where() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    for name in ["avalanche.pdf", "prices.xlsx", "talk.pptx", "marmot.epub", "water.odt", "guides.ods", "passes.xls"] {
        user.add(name, std::fs::read(folder.join(name)).unwrap()).await;
    }
    let (_, listed) = user.get("/documents").await;
    let pdf = listed["documents"].as_array().unwrap().iter().find(|one| one["name"] == "avalanche.pdf").unwrap();
    assert_eq!((&pdf["pages"], &pdf["media_type"]), (&json!(2), &json!("application/pdf")), "{pdf}");
    assert!(pdf["warnings"][0].as_str().unwrap().contains("pages without text: 3"), "{pdf}");
    let mut client = gateway.connect().await;
    for (question, uri, field, value) in [
        ("Where does the wind load the slopes?", "avalanche.pdf", "page", json!(2)),
        ("What is the price of the Kestrel tent in euros?", "prices.xlsx", "place", json!("sheet “Tents”, rows 1–5")),
        ("How many visitors were there in May?", "talk.pptx", "place", json!("slide 2")),
        ("How long does the marmot sleep?", "marmot.epub", "place", json!("chapter “Winter”")),
        ("How long should water boil above 3000 m?", "water.odt", "title", json!("Water")),
        ("Which guide is from the Maggia valley?", "guides.ods", "place", json!("sheet “Guides”, rows 2–3")),
        ("How many metres has the Grimsel pass?", "passes.xls", "place", json!("sheet “Passes”, rows 2–3")),
    ] {
        client.say(question).await;
        let sources = client.until("sources").await;
        let best = &sources["items"][0];
        assert_eq!((best["uri"].as_str(), &best[field]), (Some(uri), &value), "{question}: {sources}");
        let answer = client.answer().await;
        assert_eq!(answer.status(), "complete", "{question}");
        let at = format!("/documents/{}/passages/{}", best["document"].as_str().unwrap(), best["chunk"]);
        let (status, passage) = user.get(&at).await;
        assert_eq!((status, &passage[field]), (200, &value), "{at}: {passage}");
        let document = best["document"].as_str().unwrap();
        let (_, text) = user.get(&format!("/documents/{document}/text")).await;
        let (start, end) = (passage["start"].as_u64().unwrap(), passage["end"].as_u64().unwrap());
        let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
        assert_eq!(&text.as_str().unwrap()[start..end], passage["text"].as_str().unwrap(), "{at}");
    }
}
