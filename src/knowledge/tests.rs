//! The whole knowledge base: real files, the real model, a real index.

use std::{fs, time::Duration};

use super::testing::{Base, find, ingest, knowledge, query, sample, search, write};
use super::*;
use crate::config::KnowledgeConfig;

#[tokio::test]
async fn questions_about_the_sample_find_their_answer_and_others_find_nothing() {
    let data = tempfile::tempdir().expect("folder");
    let knowledge = knowledge(data.path());
    let summary = ingest(&knowledge, &sample()).await;
    assert!(summary.failures.is_empty() && summary.added >= 18, "{summary:?}");
    let min_score = Some(KnowledgeConfig::default().min_score);

    for (question, uri, words) in [
        ("How many days do I have to return a tent?", "shop/returns.md", "60 days"),
        ("What does the Kestrel 2 cost?", "shop/tents.md", "449 euros"),
        ("Which tent can I use in snow?", "shop/tents.md", "winter tent"),
        ("how heavy is the Longhaul 65", "shop/backpacks.md", "1.9 kg"),
        ("are you open on monday", "shop/opening-hours.txt", "Monday: closed"),
        ("Can a gift card be paid out?", "shop/gift-cards.md", "cannot be returned"),
        ("Do you ship to Norway and what does it cost?", "shop/shipping.md", "24 euros"),
        ("price of a new zip slider", "shop/repairs.md", "15 euros"),
        ("Which sleeping bag is warm enough for minus ten degrees?", "shop/sleeping-bags.md", "−10 °C"),
        ("How does resuming work?", "rivulet/resume.md", "cursor"),
        ("What happens when I close the tab while an answer is written?", "rivulet/stopping.md", "does not stop"),
        ("what does close code 4203 mean", "rivulet/close-codes.md", "4203"),
        ("How do I start the gateway?", "rivulet/running.md", "make run"),
        ("What is Rivulet?", "rivulet/what-is-rivulet.md", "streaming chat gateway"),
    ] {
        let passages = find(&knowledge, &SearchQuery { min_score, ..query(question, SearchMode::Hybrid) }).await;
        let first = passages.first().unwrap_or_else(|| panic!("{question}: nothing"));
        assert!(first.uri.as_deref().is_some_and(|found| found.ends_with(uri)), "{question}: {first:#?}");
        let all: String = passages.iter().map(|passage| passage.text.as_str()).collect();
        assert!(all.contains(words), "{question}: {passages:#?}");
        assert!(passages.is_sorted_by(|a, b| a.score >= b.score), "{question}: {passages:#?}");
    }
    for question in [
        "What is the capital of Mongolia?",
        "Who won the football world cup in 1974?",
        "Write a poem about autumn",
        "How do I bake sourdough bread?",
        "asdf qwertz",
    ] {
        let passages = find(&knowledge, &SearchQuery { min_score, ..query(question, SearchMode::Hybrid) }).await;
        assert_eq!(passages, [], "{question}");
    }
}

#[tokio::test]
async fn another_process_sees_what_was_ingested() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(&docs, &[("a.md", "The okapi is shy.")]);
    let (gateway, command) = (knowledge(data.path()), knowledge(data.path()));
    assert_eq!(search(&gateway, "okapi", SearchMode::Text).await, []);
    ingest(&command, &docs).await;
    assert_eq!(search(&gateway, "okapi", SearchMode::Text).await.len(), 1);
    write(&docs, &[("b.md", "The numbat is shy, too.")]);
    ingest(&command, &docs).await;
    let seen = async {
        while search(&gateway, "numbat", SearchMode::Text).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), seen).await.expect("seen within 5 s");
}

#[tokio::test]
async fn strange_questions_are_only_questions() {
    let data = tempfile::tempdir().expect("folder");
    let knowledge = knowledge(data.path());
    ingest(&knowledge, &sample().join("shop")).await;
    let long = "tent ".repeat(2000);
    for text in [
        "",
        " \n\t",
        "\"",
        "'",
        "\"unbalanced",
        "AND (",
        "tent AND",
        "NOT",
        "a:b",
        "text:tent",
        "*",
        "tent*",
        "tent~2",
        "^5",
        "+tent -bag",
        "\\",
        "'; DROP TABLE x; --",
        "document IN ('')",
        "{}[]()",
        "\u{0}",
        "\u{200b}\u{202e}",
        "😀👩‍👩‍👧",
        "帳篷多少錢",
        &long,
    ] {
        for mode in [SearchMode::Hybrid, SearchMode::Vector, SearchMode::Text] {
            let passages = search(&knowledge, text, mode).await;
            assert!(passages.iter().all(|passage| (0.0..=1.0).contains(&passage.score)), "{text:?} {passages:?}");
        }
    }
    let none = SearchQuery { top_k: 0, ..query("tent", SearchMode::Hybrid) };
    assert_eq!(find(&knowledge, &none).await, []);
    let absent =
        SearchQuery { collection: Collection::parse("absent").expect("valid"), ..query("tent", SearchMode::Hybrid) };
    assert_eq!(find(&knowledge, &absent).await, []);
}

#[tokio::test]
async fn without_a_model_words_are_still_found() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(&docs, &[("a.md", "The pangolin has scales.")]);
    ingest(&knowledge(data.path()), &docs).await;
    let blind = Knowledge::open(&KnowledgeConfig::default(), data.path(), parser::Parsers::in_this_process());
    assert!(blind.ready().await.is_err());
    assert_eq!(search(&blind, "pangolin", SearchMode::Hybrid).await.len(), 1);
    // One document makes every word common; the threshold does not care.
    let min_score = Some(KnowledgeConfig::default().min_score);
    for (text, expected) in [("Does the pangolin have scales?", 1), ("Which pangolin won the football cup?", 0)] {
        let found = find(&blind, &SearchQuery { min_score, ..query(text, SearchMode::Hybrid) }).await;
        assert_eq!(found.len(), expected, "{text}");
    }
    assert!(matches!(blind.status(), KnowledgeStatus::Failed(_)));
    assert!(blind.retrieve(&query("pangolin", SearchMode::Vector)).await.is_err());
    let blind = Base::with(blind, data.path());
    write(&docs, &[("b.md", "New.")]);
    let summary = ingest(&blind, &docs).await;
    assert_eq!((summary.unchanged, summary.failures.len()), (1, 1), "{summary:?}");
    assert!(summary.failures[0].reason.contains("model"), "{summary:?}");
}

#[tokio::test]
async fn vectors_of_two_models_never_meet() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(&docs, &[("a.md", "The tapir swims.")]);
    ingest(&knowledge(data.path()), &docs).await;
    let config = KnowledgeConfig {
        model_dir: Some(testing::model_dir()),
        model: "another".to_owned(),
        ..KnowledgeConfig::default()
    };
    let other = Knowledge::open(&config, data.path(), parser::Parsers::in_this_process());
    let other = Base::with(other, data.path());
    assert_eq!(search(&other, "tapir", SearchMode::Text).await, []);
    // What is missing in the index of this model is indexed by itself, from what is kept.
    let indexed = async {
        while search(&other, "tapir", SearchMode::Text).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let working = other.working(async |_| tokio::time::timeout(Duration::from_secs(60), indexed).await);
    working.await.expect("indexed within a minute");
    assert_eq!(search(&other, "tapir", SearchMode::Hybrid).await.len(), 1);
    // What was made for the first one is read by nobody, and must not keep what is deleted later.
    let tables = fs::read_dir(data.path().join("lancedb")).expect("folder").count();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_damaged_index_is_an_error_and_no_panic() {
    for target in ["_versions", "data"] {
        let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
        let docs = work.path().join("docs");
        write(&docs, &[("a.md", "The quoll hunts at night.")]);
        ingest(&knowledge(data.path()), &docs).await;
        for entry in walkdir::WalkDir::new(data.path()) {
            let entry = entry.expect("entry");
            let inside = entry.path().components().any(|part| part.as_os_str() == target);
            if inside && entry.file_type().is_file() {
                fs::write(entry.path(), b"damaged").expect("file");
            }
        }
        let knowledge = knowledge(data.path());
        let outcome = knowledge.retrieve(&query("quoll", SearchMode::Text)).await;
        assert!(matches!(outcome, Err(KnowledgeError::Unavailable(_))), "{target}: {outcome:?}");
        assert!(matches!(knowledge.status(), KnowledgeStatus::Failed(_)), "{target}");
    }
}

#[tokio::test]
async fn questions_in_other_languages_find_their_words() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(
        &docs,
        &[
            ("en.md", "# Tents\n\nTents can be returned within sixty days, and sleeping bags cannot."),
            (
                "de.md",
                "# Rückgabe\n\nDie Zelte können innerhalb von sechzig Tagen zurückgegeben werden, Schlafsäcke nicht.",
            ),
            ("ru.md", "# Возврат\n\nПалатки можно вернуть в течение шестидесяти дней, а спальные мешки нельзя."),
            ("zh.md", "# 退货\n\n帐篷可以在六十天内退货,睡袋不可以。"),
            ("ja.md", "# 返品\n\nテントは六十日以内に返品できますが、寝袋はできません。"),
        ],
    );
    let knowledge = knowledge(data.path());
    ingest(&knowledge, &docs).await;
    for (question, file) in [
        ("Can I return a tent?", "en.md"),
        ("Kann ich einen Schlafsack zurückgeben?", "de.md"),
        ("Можно ли вернуть палатку?", "ru.md"),
        ("帐篷怎么退货?", "zh.md"),
        ("テントの返品について教えて", "ja.md"),
    ] {
        for mode in [SearchMode::Text, SearchMode::Hybrid] {
            let found = search(&knowledge, question, mode).await;
            let first = found.first().and_then(|passage| passage.uri.as_deref());
            assert!(first.is_some_and(|uri| uri.ends_with(file)), "{question} {mode:?}: {found:#?}");
        }
    }
}

#[tokio::test]
async fn neighbours_are_one_passage_with_the_text_as_it_stands() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    let sentences: Vec<String> =
        (0..60).map(|n| format!("The marmot number {n} sleeps in its burrow all winter.")).collect();
    let text = sentences.join(" ");
    write(&docs, &[("a.txt", &text)]);
    let knowledge = knowledge(data.path());
    assert!(ingest(&knowledge, &docs).await.chunks > 3);
    let found = search(&knowledge, "Where does the marmot sleep?", SearchMode::Hybrid).await;
    let longest = found.iter().max_by_key(|passage| passage.text.len()).expect("found");
    assert!(longest.text.len() > 1500, "{found:#?}");
    assert!(text.contains(&longest.text.replace('\n', " ")), "nothing is doubled: {}", longest.text);
}

#[tokio::test]
async fn opening_takes_no_time_and_status_tells_how_far_it_is() {
    let data = tempfile::tempdir().expect("folder");
    let started = tokio::time::Instant::now();
    let knowledge = knowledge(data.path());
    assert!(started.elapsed() < Duration::from_millis(500));
    assert_eq!(knowledge.status(), KnowledgeStatus::Loading);
    assert_eq!(search(&knowledge, "anything", SearchMode::Hybrid).await, []);
    knowledge.ready().await.expect("loaded");
    assert_eq!(knowledge.status(), KnowledgeStatus::Ready);
    assert!(!data.path().join("lancedb").exists(), "looking made a folder");
    let preloaded = async |documents| {
        let preloading = preload(documents, vec![sample().join("shop")]);
        assert_eq!(knowledge.status(), KnowledgeStatus::Loading, "from the moment on at which it is decided");
        preloading.await;
        assert_eq!(knowledge.status(), KnowledgeStatus::Ready);
    };
    knowledge.working(preloaded).await;
    assert!(!search(&knowledge, "tent", SearchMode::Hybrid).await.is_empty());
}

#[tokio::test]
async fn a_line_without_end_is_cut_in_time() {
    let embedder = embed::Embedder::load(Some(testing::model_dir()), KnowledgeConfig::default().model);
    let model = embedder.ready().await.expect("loaded");
    for unit in ["lorem ipsum dolor sit amet ", "x", "ß, "] {
        let text = unit.repeat(200 * 1024 / unit.len());
        for format in [extract::Format::Markdown, extract::Format::Plain] {
            let started = tokio::time::Instant::now();
            let long = extract::extract("long.txt", text.as_bytes()).expect("text");
            let chunks = chunk::split(&extract::Extracted { format, ..long }, |text| model.tokens(text), || false);
            let chunks = chunks.expect("within bounds");
            assert!(started.elapsed() < Duration::from_secs(30), "{unit:?} {format:?}: {:?}", started.elapsed());
            assert!(
                chunks
                    .iter()
                    .all(|chunk| chunk.text.len() <= 4000 && model.tokens(&chunk.text) <= chunk::MAX_CHUNK_TOKENS)
            );
        }
    }
}

#[tokio::test]
async fn many_searches_at_once_are_answered_or_refused() {
    let data = tempfile::tempdir().expect("folder");
    let knowledge = knowledge(data.path());
    ingest(&knowledge, &sample().join("shop")).await;
    // On a slow machine the view of the index comes to one after the other, and then none finds all places taken.
    for round in 0..20 {
        let searches = (0..400).map(|i| {
            let knowledge = &knowledge;
            async move { knowledge.retrieve(&query(&format!("tent number {round} {i}"), SearchMode::Text)).await }
        });
        let outcomes = futures_util::future::join_all(searches).await;
        let (refused, others): (Vec<_>, Vec<_>) =
            outcomes.into_iter().partition(|outcome| matches!(outcome, Err(KnowledgeError::Busy)));
        let unanswered = others.iter().find(|outcome| outcome.as_ref().map_or(true, |found| found.passages.is_empty()));
        assert!(unanswered.is_none(), "{unanswered:?}");
        assert!(others.len() >= 256, "{} refused", refused.len());
        if !refused.is_empty() {
            return;
        }
    }
    panic!("nothing was refused");
}
