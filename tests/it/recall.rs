//! Whether what users have told is found again: made-up users, questions with known answers, and the real model. A guard against
//! worse recall, as `eval` is one against worse answers from documents.

mod users;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

use rivulet::{
    chat::{Memory, MemoryId, MemoryKind, Notebook, Origin, Owner, SessionId, Timestamp},
    knowledge::embed::Embedder,
    memory::{
        phrases::{asked, said},
        recall::{Question, quantized, rank},
        words::words,
    },
    store::{
        MemoryStore,
        memories::{Forget, Kept, NewMemory, Trace},
        sqlite::SqliteStore,
    },
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

/// The vectors of all that these users say and ask, and how much two texts are alike that have nothing in common.
async fn embedded(users: &[User]) -> (HashMap<String, Vec<f32>>, f32) {
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
    (texts.into_iter().zip(vectors).collect(), unrelated)
}

#[tokio::test]
async fn what_was_told_is_found_again() {
    let users = users(USERS);
    let (vectors, unrelated) = embedded(&users).await;
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

/// The model by which the vectors in the store are.
const MODEL: &str = "all-MiniLM-L6-v2";

fn episode(text: &str, said_at: u64) -> NewMemory {
    let memory = Memory {
        id: MemoryId::random(),
        assistant: "companion".to_owned(),
        kind: MemoryKind::Episode,
        attribute: None,
        text: text.to_owned(),
        origin: Origin::Turn,
        session: None,
        message: None,
        said_at: Timestamp(said_at),
        ended_at: None,
        expires_at: None,
    };
    NewMemory { words: words(text), memory, ends: Vec::new(), over: Vec::new(), is_again: false }
}

/// Keeps turns in a notebook, with their vectors, and says by which ids; `None` where it was not to be.
async fn told(
    store: &SqliteStore,
    notebook: &Notebook,
    turns: &[NewMemory],
    vectors: &HashMap<String, Vec<f32>>,
) -> Vec<Option<MemoryId>> {
    let kept = store.keep_memories(notebook, turns.to_vec()).await.unwrap();
    let ids = kept.into_iter().map(|kept| match kept {
        Kept::New { memory, .. } => Some(memory.id),
        _ => None,
    });
    let ids: Vec<Option<MemoryId>> = ids.collect();
    let vector =
        |(id, turn): (&Option<MemoryId>, &NewMemory)| id.clone().map(|id| (id, quantized(&vectors[&turn.memory.text])));
    store.set_vectors(MODEL, ids.iter().zip(turns).filter_map(vector).collect()).await.unwrap();
    ids
}

/// Users of two tenants tell much the same, in one store. Nobody finds what another has told, by no question; what somebody
/// wants forgotten they do not find either, whether it was told before or is said to have been.
#[tokio::test]
async fn through_the_store_nothing_is_found_of_others_and_nothing_that_is_forgotten() {
    let users = users(12);
    let (vectors, unrelated) = embedded(&users).await;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("rivulet.db")).unwrap();
    let notebook = |at: usize| Notebook {
        owner: Some(Owner::new(&format!("{}/u{}", ["acme", "globex"][at % 2], at / 2))),
        assistant: "companion".to_owned(),
    };
    let mut kept = Vec::new();
    for (at, user) in users.iter().enumerate() {
        let turns: Vec<NewMemory> = (1..).zip(&user.turns).map(|(said_at, text)| episode(text, said_at)).collect();
        kept.push(told(&store, &notebook(at), &turns, &vectors).await);
    }
    let found = async |at: usize, text: &str| {
        let traces = store.traces(&notebook(at), Some(MODEL), Timestamp(0)).await.unwrap();
        let asking = Question { words: words(text), vector: Some(&vectors[text]), session: None, unrelated };
        let ids = rank(&asking, &traces, MOST, 0.0).into_iter().map(|(_, place)| traces[place].id.clone());
        ids.collect::<Vec<MemoryId>>()
    };
    let (mut asked, mut hits) = (0, 0);
    for (at, user) in users.iter().enumerate() {
        for question in &user.questions {
            let ids = found(at, &question.text).await;
            assert!(ids.iter().all(|id| kept[at].contains(&Some(id.clone()))), "a leak: {}", question.text);
            let (own, other) = (notebook(at).owner, notebook((at + 1) % users.len()).owner);
            assert_eq!(store.memories_by_id(own.as_ref(), &ids).await.unwrap().len(), ids.len());
            assert_eq!(store.memories_by_id(other.as_ref(), &ids).await.unwrap(), []);
            if question.class == Class::Single {
                asked += 1;
                hits += usize::from(question.turns.iter().any(|turn| ids.contains(kept[at][*turn].as_ref().unwrap())));
            }
        }
    }
    assert!(hits * 100 >= asked * 95, "{hits} of {asked} are found through the store");
    for (at, user) in users.iter().enumerate() {
        let single = user.questions.iter().find(|question| question.class == Class::Single).unwrap();
        let turn = single.turns[0];
        let (owner, id) = (notebook(at).owner, kept[at][turn].clone().unwrap());
        let now = Timestamp(1_000);
        assert!(store.forget(owner.as_ref(), Forget::One(id.clone()), now).await.unwrap().episodes >= 1);
        let again = told(&store, &notebook(at), &[episode(&user.turns[turn], 900)], &vectors).await;
        assert_eq!(again, [None], "what was said before it was forgotten");
        let ids = found(at, &single.text).await;
        let left = store.memories_by_id(owner.as_ref(), &ids).await.unwrap();
        assert!(left.iter().all(|memory| memory.id != id && memory.text != user.turns[turn]), "{}", single.text);
    }
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
