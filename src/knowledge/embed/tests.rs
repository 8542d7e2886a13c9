//! The real model on its thread.

use std::{fs, path::Path};

use super::*;
use crate::knowledge::testing::model_dir;

mod multilingual;

const MINILM: &str = "all-MiniLM-L6-v2";
const SENTENCE: &str = "This is an example sentence";

fn load(folder: PathBuf) -> Embedder {
    Embedder::load(Some(folder), MINILM.to_owned())
}

fn assert_published(vector: &[f32]) {
    let published = [0.067_656_91, 0.063_495_88, 0.048_713_14, 0.079_304_92];
    assert_eq!(vector.len(), 384);
    for (ours, theirs) in vector.iter().zip(published) {
        assert!((ours - theirs).abs() < 1e-5, "{ours} is not {theirs}");
    }
    let length: f32 = vector.iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-4, "length {length}");
}

#[tokio::test]
async fn vectors_are_those_of_the_published_model() {
    let embedder = load(model_dir());
    let ready = embedder.ready().await.expect("loaded");
    assert_eq!(ready.dimension, 384);
    assert_published(&embedder.embed_query(SENTENCE, None).await.expect("vector"));
    // In a batch with others, padded and out of order, it is the same.
    let mut texts = vec!["word ".repeat(300), SENTENCE.to_owned(), String::new(), "😀".to_owned()];
    texts.extend((0..40).map(|i| format!("text number {i}")));
    let vectors = embedder.embed_documents(texts).await.expect("vectors");
    assert_eq!(vectors.len(), 44);
    assert_published(&vectors[1]);
}

#[tokio::test]
async fn tokens_are_counted_to_the_end() {
    let embedder = load(model_dir());
    let ready = embedder.ready().await.expect("loaded");
    assert_eq!(ready.tokens("the tent"), 2);
    assert_eq!(ready.tokens(&"word ".repeat(5000)), 5000);
}

#[tokio::test]
async fn questions_go_before_documents() {
    let embedder = Arc::new(load(model_dir()));
    embedder.ready().await.expect("loaded");
    let texts = vec!["some words of a document ".repeat(30); 40];
    let ingestion = {
        let embedder = Arc::clone(&embedder);
        async move { embedder.embed_documents(texts).await.expect("vectors") }
    };
    tokio::pin!(ingestion);
    let question = embedder.embed_query("Which tent is the lightest?", None);
    tokio::select! {
        biased;
        _ = &mut ingestion => panic!("the question waited for all of the ingestion"),
        vector = question => assert_eq!(vector.expect("vector").len(), 384),
    }
    // Dropping the ingestion here must not hang anything.
}

#[tokio::test]
async fn a_call_for_documents_takes_about_as_long_as_one_chunk() {
    let (told, calls) = std::sync::mpsc::sync_channel(16);
    let embedder = Embedder::start(
        move || {
            let loaded = Loaded::from(Model::load(&model_dir(), MINILM)?);
            let call = Box::new(move |texts: Vec<String>| {
                let lengths: Vec<usize> = texts.iter().map(String::len).collect();
                let _heard = told.send(lengths.clone());
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let vectors = lengths.into_iter().map(|length| vec![length as f32]).collect();
                Ok(vectors)
            });
            Ok(Loaded { call, ..loaded })
        },
        None,
    );
    let lengths = [900, 30, 5000, 400, 30, 800, 450, 20];
    let texts = lengths.iter().map(|length| "x".repeat(*length)).collect();
    let vectors = embedder.embed_documents(texts).await.expect("vectors");
    assert_eq!(vectors, lengths.map(|length| vec![f32::from(u16::try_from(length).expect("small"))]));
    drop(embedder);
    let calls: Vec<Vec<usize>> = calls.iter().collect();
    assert_eq!(calls, [vec![20, 30, 30], vec![400, 450], vec![800], vec![900], vec![5000]]);
}

#[tokio::test]
async fn many_questions_are_answered_and_too_many_refused() {
    let embedder = load(model_dir());
    embedder.ready().await.expect("loaded");
    let answers = futures_util::future::join_all((0..200).map(|i| {
        let embedder = &embedder;
        async move { embedder.embed_query(&format!("question {i}"), None).await }
    }));
    assert!(answers.await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn while_it_loads_questions_are_not_kept_waiting() {
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let embedder = Embedder::start(
        move || {
            wait.recv().expect("told to go on");
            Err(EmbedError::NotConfigured)
        },
        None,
    );
    assert_eq!(embedder.embed_query("x", None).await, Err(EmbedError::Loading));
    go.send(()).expect("thread is waiting");
    assert_eq!(embedder.embed_documents(vec!["x".to_owned()]).await, Err(EmbedError::NotConfigured));
    assert_eq!(embedder.embed_query("x", None).await, Err(EmbedError::NotConfigured));
}

#[tokio::test]
async fn a_panic_becomes_an_error_for_everybody() {
    let embedder = Embedder::start(|| panic!("deliberate"), None);
    let documents = embedder.embed_documents(vec!["x".to_owned()]).await;
    assert_eq!(documents, Err(EmbedError::Failed("its thread panicked".to_owned())));
    assert!(matches!(embedder.embed_query("x", None).await, Err(EmbedError::Failed(_))));
    assert!(matches!(embedder.status(), EmbedStatus::Failed(_)));
}

#[tokio::test]
async fn a_panic_on_one_text_is_an_error_of_that_call_only() {
    let embedder = Embedder::start(
        || {
            let mut loaded = Loaded::from(Model::load(&model_dir(), MINILM)?);
            let call = Box::new(move |texts: Vec<String>| {
                assert!(!texts.iter().any(|text| text == "poison"), "deliberate");
                (loaded.call)(texts)
            });
            Ok(Loaded { ready: loaded.ready, call })
        },
        None,
    );
    embedder.ready().await.expect("loaded");
    assert!(matches!(embedder.embed_query("poison", None).await, Err(EmbedError::Failed(_))));
    assert_published(&embedder.embed_query(SENTENCE, None).await.expect("the next one is embedded"));
    assert!(matches!(embedder.status(), EmbedStatus::Ready(_)));
}

#[tokio::test]
async fn no_folder_is_said_plainly() {
    assert_eq!(
        Embedder::load(None, String::new()).ready().await.expect_err("nothing to load"),
        EmbedError::NotConfigured
    );
    let nowhere = load("/nowhere".into()).ready().await.expect_err("nothing there");
    assert!(nowhere.to_string().contains("fetch-models"), "{nowhere}");
}

/// A copy of the model's folder in which one file is cut to `bytes`; the rest is linked.
fn damaged(name: &str, bytes: u64, at: &Path) -> PathBuf {
    let folder = at.join("model");
    fs::create_dir_all(&folder).expect("folder");
    std::os::unix::fs::symlink(model_dir().join("../onnxruntime"), at.join("onnxruntime")).expect("link");
    for entry in fs::read_dir(model_dir()).expect("model") {
        let path = entry.expect("entry").path();
        std::os::unix::fs::symlink(&path, folder.join(path.file_name().expect("name"))).expect("link");
    }
    let whole = fs::read(model_dir().join(name)).expect("file");
    fs::remove_file(folder.join(name)).expect("link is there");
    fs::write(folder.join(name), &whole[..usize::try_from(bytes).expect("small")]).expect("file");
    folder
}

#[tokio::test]
async fn damaged_files_are_errors_that_say_what_to_do() {
    let cuts = [
        ("model.onnx", 0),
        ("model.onnx", 10_000),
        ("model.safetensors", 4),
        ("model.safetensors", 50_000_000),
        ("tokenizer.json", 1000),
        ("config.json", 0),
    ];
    for (name, bytes) in cuts {
        let temporary = tempfile::tempdir().expect("folder");
        let embedder = load(damaged(name, bytes, temporary.path()));
        let error = embedder.ready().await.expect_err(name);
        assert!(matches!(error, EmbedError::Model { .. }), "{name}: {error}");
        assert!(error.to_string().contains("fetch-models"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_missing_runtime_is_an_error_and_no_panic() {
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        return;
    }
    let temporary = tempfile::tempdir().expect("folder");
    let folder = damaged("model.onnx", 30_000, temporary.path());
    fs::remove_file(temporary.path().join("onnxruntime")).expect("link");
    let error = load(folder).ready().await.expect_err("no library");
    assert!(matches!(error, EmbedError::Runtime { .. }), "{error}");
}

/// The process can load only one library, so a damaged one is tried in a process of its own.
#[test]
fn a_damaged_runtime_is_an_error_and_no_panic() {
    let temporary = tempfile::tempdir().expect("folder");
    let garbage = temporary.path().join("libonnxruntime.so");
    fs::write(&garbage, "not a library").expect("file");
    let this = std::env::current_exe().expect("test binary");
    let child = std::process::Command::new(this)
        .args(["--exact", "knowledge::embed::tests::child_of_the_test_above", "--ignored"])
        .env("ORT_DYLIB_PATH", &garbage)
        .output()
        .expect("runs");
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[tokio::test]
#[ignore = "needs the environment that the test above gives it"]
async fn child_of_the_test_above() {
    let error = load(model_dir()).ready().await.expect_err("garbage");
    assert!(matches!(error, EmbedError::Runtime { .. }), "{error}");
    assert!(error.to_string().contains("ORT_DYLIB_PATH"), "{error}");
}
