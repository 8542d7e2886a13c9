//! Whether what users have told is found again: made-up users, questions with known answers, and the real model. A guard against
//! worse recall, as `eval` is one against worse answers from documents.

mod users;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

use rivulet::{
    chat::{MemoryId, SessionId, Timestamp},
    knowledge::embed::Embedder,
    memory::{
        phrases::{asked, said},
        recall::{Question, quantized, rank},
        words::words,
    },
    store::memories::Trace,
};

use self::users::{Class, User, users};

const USERS: u64 = 60;
/// The most episodes that are told.
const MOST: usize = 4;
/// A lenient least score, and the one that assistants ask for when nobody says otherwise.
const LEAST: [f32; 2] = [0.35, 0.5];

/// A little below what is measured: the share of an answer's turns in the first place, among the first five, and among the first
/// [`MOST`] from each least score on.
const FLOORS: [(Class, [f32; 4]); 3] = [
    (Class::Single, [0.95, 0.97, 0.95, 0.92]),
    (Class::Several, [0.33, 0.97, 0.95, 0.95]),
    (Class::Time, [0.87, 0.97, 0.95, 0.95]),
];
/// The share of questions for what was never told that find nothing from each least score on.
const FINDS_NOTHING: [f32; 2] = [0.58, 0.88];

fn traces(user: &User, vectors: &HashMap<String, Vec<f32>>) -> Vec<Trace> {
    let sessions: Vec<SessionId> = (0..users::CONVERSATIONS).map(|_| SessionId::random()).collect();
    let trace = |(at, text): (usize, &String)| Trace {
        id: MemoryId::random(),
        session: Some(sessions[at / 2].clone()),
        said_at: Timestamp(u64::try_from(at).unwrap()),
        words: words(text),
        vector: Some(quantized(&vectors[text])),
    };
    user.turns.iter().enumerate().map(trace).collect()
}

#[tokio::test]
async fn what_was_told_is_found_again() {
    let users = users(USERS);
    let folder = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let embedder = Embedder::load(Some(folder.into()), "all-MiniLM-L6-v2".to_owned());
    let unrelated = embedder.ready().await.unwrap().unrelated();
    let mut texts: Vec<String> = users
        .iter()
        .flat_map(|user| user.turns.iter().chain(user.questions.iter().map(|question| &question.text)))
        .cloned()
        .collect();
    texts.sort_unstable();
    texts.dedup();
    let vectors = embedder.embed_documents(texts.clone()).await.unwrap();
    let vectors: HashMap<String, Vec<f32>> = texts.into_iter().zip(vectors).collect();

    let mut shares: BTreeMap<Class, Vec<[f32; 4]>> = BTreeMap::new();
    let (mut never, mut shown) = (Vec::new(), String::new());
    for user in &users {
        let traces = traces(user, &vectors);
        for question in &user.questions {
            let vector = Some(vectors[&question.text].as_slice());
            let asking = Question { words: words(&question.text), vector, session: None, unrelated };
            let found = |most: usize, least: f32| rank(&asking, &traces, most, least);
            if question.class == Class::Never {
                never.push(LEAST.map(|least| if found(MOST, least).is_empty() { 1.0 } else { 0.0 }));
                continue;
            }
            let share = |found: Vec<(f32, usize)>| {
                let hits = found.iter().filter(|(_, at)| question.turns.contains(at)).count();
                hits as f32 / question.turns.len() as f32
            };
            let all = [found(1, 0.0), found(5, 0.0), found(MOST, LEAST[0]), found(MOST, LEAST[1])].map(share);
            shares.entry(question.class).or_default().push(all);
        }
    }
    for (class, floors) in FLOORS {
        let found = mean(&shares[&class]);
        writeln!(shown, "{class:?}: {found:.3?}, at least {floors:?}").unwrap();
    }
    let nothing = mean(&never);
    writeln!(shown, "Never: {nothing:.3?}, at least {FINDS_NOTHING:?}").unwrap();
    eprintln!("{shown}");
    for (class, floors) in FLOORS {
        assert!(mean(&shares[&class]).iter().zip(floors).all(|(found, floor)| *found >= floor), "{shown}");
    }
    assert!(nothing.iter().zip(FINDS_NOTHING).all(|(found, floor)| *found >= floor), "{shown}");
}

fn mean<const N: usize>(all: &[[f32; N]]) -> [f32; N] {
    std::array::from_fn(|at| all.iter().map(|one| one[at]).sum::<f32>() / all.len() as f32)
}

/// Facts are told, told anew and denied; in the end those hold that were said last, and no others.
#[test]
fn what_was_said_last_holds() {
    for user in users(USERS) {
        let mut facts: Vec<(String, String)> = Vec::new();
        for told in user.turns.iter().flat_map(|turn| said(turn)) {
            facts.retain(|(attribute, _)| !told.ends.contains(attribute));
            facts.extend(told.attribute.map(|attribute| (attribute, told.text)));
        }
        for (attribute, text) in &user.holds {
            let holds: Vec<&String> =
                facts.iter().filter(|(held, _)| held == attribute).map(|(_, text)| text).collect();
            match text {
                Some(text) => assert!(holds.len() == 1 && holds[0].contains(text), "{attribute}: {facts:?}"),
                None => assert!(holds.is_empty(), "{attribute}: {facts:?}"),
            }
        }
        for (question, attribute) in
            [("Where do I live?", "place"), ("What is my name?", "name"), ("What is my dog called?", "dog")]
        {
            assert_eq!(asked(question).as_deref(), Some(attribute));
            assert!(facts.iter().any(|(held, _)| held == attribute), "{attribute}: {facts:?}");
        }
        let events = ["name", "place", "job", "dog"];
        let odd: Vec<_> = facts
            .iter()
            .filter(|(held, _)| !events.contains(&held.as_str()) && !held.starts_with("dislikes:"))
            .collect();
        assert!(odd.is_empty(), "nobody said so: {odd:?}");
    }
}
