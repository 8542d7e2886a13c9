//! The multilingual model: what is asked in one language is found in another one.

use std::path::PathBuf;

use super::*;

const DOCUMENTS: [(&str, &str); 6] = [
    (
        "urlaub.md",
        "# Urlaubsregelung\n\nAlle Angestellten haben Anspruch auf 30 Tage Urlaub im Jahr. Resturlaub verfällt Ende März.",
    ),
    (
        "駐車場.md",
        "# 駐車場のご案内\n\n来客用の駐車場は地下二階にあります。平日は一時間につき四百円、日曜日は無料です。",
    ),
    (
        "библиотека.md",
        "# Библиотека\n\nКниги выдаются на три недели. За каждый день просрочки взимается штраф десять рублей.",
    ),
    ("عيادة.md", "# مواعيد عيادة الأسنان\n\nتفتح عيادة الأسنان من الثامنة صباحا حتى الثانية ظهرا، وتغلق يوم الجمعة."),
    (
        "stove.md",
        "# Stove safety\n\nNever light the gas stove inside the tent. Carbon monoxide has no smell and kills within minutes.",
    ),
    ("kittens.md", "# Feeding kittens\n\nFeed a kitten four times a day. Do not give it milk, which causes diarrhoea."),
];

const QUESTIONS: [(&str, &str); 12] = [
    ("urlaub.md", "How many days of vacation do employees get?"),
    ("駐車場.md", "How much does it cost to park on weekdays?"),
    ("библиотека.md", "What is the fine for an overdue book?"),
    ("عيادة.md", "When is the dentist closed?"),
    ("urlaub.md", "有給休暇は何日ありますか"),
    ("駐車場.md", "Was kostet das Parken an Werktagen?"),
    ("stove.md", "Darf ich im Zelt mit Gas kochen?"),
    ("stove.md", "テントの中でストーブを使ってもいいですか"),
    ("kittens.md", "Можно ли давать котятам молоко?"),
    ("kittens.md", "هل يمكن إعطاء الحليب للقطط الصغيرة؟"),
    ("urlaub.md", "Wann verfällt mein Resturlaub?"),
    ("библиотека.md", "На сколько недель выдают книги?"),
];

fn folder() -> String {
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let folder = PathBuf::from(model).with_file_name("multilingual-e5-small");
    assert!(folder.is_dir(), "{} is missing: run `make models-multilingual`", folder.display());
    folder.to_str().unwrap().to_owned()
}

/// The best documents and their scores.
async fn best(user: &User, question: &str, mode: &str) -> Vec<(String, f64)> {
    let (status, found) = user.post("/rag/query", json!({"query": question, "mode": mode, "top_k": 2})).await;
    assert_eq!(status, 200, "{found}");
    let results = found["results"].as_array().unwrap().iter();
    results.map(|one| (one["document"].as_str().unwrap().to_owned(), one["score"].as_f64().unwrap())).collect()
}

#[tokio::test]
async fn a_question_in_one_language_finds_the_document_in_another() {
    let setup =
        setup().set("RIVULET_KNOWLEDGE_MODEL_DIR", &folder()).set("RIVULET_KNOWLEDGE_MODEL", "multilingual-e5-small");
    let gateway = setup.start().await;
    let user = User::of(&gateway);
    let mut names = Vec::new();
    for (name, text) in DOCUMENTS {
        names.push((user.add(name, text).await, name));
    }
    // With words, a document in the language of the question may come before it.
    for (mode, places) in [("vector", 1), ("hybrid", 2)] {
        for (right, question) in QUESTIONS {
            let found = best(&user, question, mode).await;
            let is_right = |(id, _): &&(String, f64)| names.iter().any(|(known, name)| known == id && *name == right);
            let (_, score) = found.iter().take(places).find(is_right).unwrap_or_else(|| panic!("{mode}: {question}"));
            assert!(*score > 0.3, "{mode}: {question}: {score}");
        }
        for question in
            ["Who won the world cup in 1998?", "Как решить квадратное уравнение?", "フランスの首都はどこですか"]
        {
            let (_, score) = &best(&user, question, mode).await[0];
            assert!(*score < 0.45, "{mode}: {question}: {score}");
        }
    }
    // The same index under the name of another model: it has an index of its own, and is not loaded for it.
    let gateway = gateway.kill().await.set("RIVULET_KNOWLEDGE_MODEL", "all-MiniLM-L6-v2").start().await;
    let user = User::of(&gateway);
    until("the model to be refused", async || gateway.get("/health").await.1["status"] == "degraded").await;
    let (status, refused) = user.post("/rag/query", json!({"query": "milk", "mode": "vector"})).await;
    assert_eq!(status, 503, "{refused}");
    let (_, accepted) = user.upload("new.md", "# New\n\nA smew dives.").await;
    let job = user.ended(accepted["job"].as_str().unwrap()).await;
    assert_eq!(job["error"]["code"], "model_unavailable", "{job}");
    assert!(gateway.log().contains("knowledge.model says all-MiniLM-L6-v2"), "{}", gateway.log());
}
