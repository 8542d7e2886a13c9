//! What users have told assistants.

use super::*;
use crate::{
    chat::{Memory, MemoryId, MemoryKind, Notebook, Origin},
    store::{
        MemoryStore,
        memories::{
            Forget, Forgotten, Kept, MAX_EPISODES, MAX_FACTS, MAX_FORGOTTEN, MemoryFilter, NewMemory, Reworded, Trace,
            Words,
        },
    },
};

/// What has to do with sessions and what has to do with memories, of one store.
pub(super) trait Remembering: SessionStore + MemoryStore {}
impl<S: SessionStore + MemoryStore> Remembering for S {}

/// Two of a tenant, one of the same name in another, and nobody in particular.
const OWNERS: [Option<&str>; 4] = [Some("acme/ann"), Some("acme/ben"), Some("other/ann"), None];

fn owner(name: Option<&str>) -> Option<Owner> {
    name.map(Owner::new)
}

fn notebook(name: Option<&str>, assistant: &str) -> Notebook {
    Notebook { owner: owner(name), assistant: assistant.to_owned() }
}

fn anns() -> Notebook {
    notebook(OWNERS[0], "companion")
}

fn ann() -> Owner {
    Owner::new("acme/ann")
}

fn memory_id(id: &str) -> MemoryId {
    MemoryId::parse(id).expect("an id")
}

/// A number for each word.
fn words(text: &str) -> Words {
    Words::new(text.split_whitespace().map(|word| number_of(word.to_lowercase().as_bytes())).collect())
}

fn number_of(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33) ^ u32::from(*byte))
}

fn fact(id: &str, text: &str, said_at: u64) -> NewMemory {
    let memory = Memory {
        id: memory_id(id),
        assistant: String::new(),
        kind: MemoryKind::Fact,
        attribute: None,
        text: text.to_owned(),
        origin: Origin::Rule,
        session: Some(session_id("s")),
        message: Some(message_id(&format!("m-{id}"))),
        said_at: Timestamp(said_at),
        ended_at: None,
        expires_at: None,
    };
    NewMemory { memory, words: words(text), ends: Vec::new(), over: Vec::new(), is_again: false }
}

/// About something of which one alone holds.
fn about(attribute: &str, mut new: NewMemory) -> NewMemory {
    new.memory.attribute = Some(attribute.to_owned());
    new.ends = vec![attribute.to_owned()];
    new
}

/// Of no conversation.
fn episode(id: &str, text: &str, more: &str, said_at: u64) -> NewMemory {
    let mut new = fact(id, format!("{text} {more}").trim_end(), said_at);
    new.memory.kind = MemoryKind::Episode;
    new.memory.origin = Origin::Turn;
    new.memory.session = None;
    new
}

fn in_session(session: &str, message: &str, mut new: NewMemory) -> NewMemory {
    new.memory.session = Some(session_id(session));
    new.memory.message = Some(message_id(message));
    new
}

/// What ends whatever it is about.
fn other_words(text: &str, attribute: Option<&str>) -> Reworded {
    let attribute = attribute.map(str::to_owned);
    let ends = attribute.iter().cloned().collect();
    Reworded { text: text.to_owned(), words: words(text), ends, attribute, over: Vec::new() }
}

async fn keep(store: &dyn MemoryStore, notebook: &Notebook, new: NewMemory) -> Kept {
    let mut kept = store.keep_memories(notebook, vec![new]).await.expect("written");
    assert_eq!(kept.len(), 1);
    kept.remove(0)
}

async fn keep_new(store: &dyn MemoryStore, notebook: &Notebook, new: NewMemory) -> Vec<String> {
    match keep(store, notebook, new).await {
        Kept::New { ended, .. } => ended.iter().map(|ended| ended.id.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

async fn facts(store: &dyn MemoryStore, notebook: &Notebook) -> Vec<String> {
    let facts = store.facts(notebook, Timestamp(5_000)).await.expect("read");
    facts.iter().map(|fact| fact.id.to_string()).collect()
}

async fn traces(store: &dyn MemoryStore, notebook: &Notebook, model: Option<&str>) -> Vec<Trace> {
    let mut traces = store.traces(notebook, model, Timestamp(5_000)).await.expect("read");
    traces.sort_by(|one, other| one.id.cmp(&other.id));
    traces
}

async fn episodes(store: &dyn MemoryStore, notebook: &Notebook) -> Vec<String> {
    traces(store, notebook, None).await.iter().map(|trace| trace.id.to_string()).collect()
}

async fn listed(store: &dyn MemoryStore, owner: Option<&Owner>, filter: &MemoryFilter) -> Vec<String> {
    let page = store.memories(owner, filter, None, 500).await.expect("read");
    page.memories.iter().map(|memory| memory.id.to_string()).collect()
}

async fn forget(store: &dyn MemoryStore, what: Forget, now: u64) -> (usize, usize) {
    let Forgotten { facts, episodes } = store.forget(Some(&ann()), what, Timestamp(now)).await.expect("forgotten");
    (facts, episodes)
}

pub(super) async fn a_memory_comes_back_as_it_was_kept(store: Arc<impl Remembering>) {
    store.create_session(record("s", 1000)).await.expect("stored");
    let text = "Ich hei\u{df}e \u{1f4b0}\0 \"O'Neil\"";
    let mut said = about("name", fact("f", text, 1000));
    said.memory.expires_at = Some(Timestamp(9_000));
    let asked = in_session("s", "q", episode("e", text, "", 2000));
    for new in [&said, &asked] {
        let Kept::New { memory, ended } = keep(&*store, &anns(), new.clone()).await else { panic!("not kept") };
        assert_eq!(*memory, Memory { assistant: "companion".to_owned(), ..new.memory.clone() });
        assert!(ended.is_empty());
    }
    let as_kept = |new: &NewMemory| Memory { assistant: "companion".to_owned(), ..new.memory.clone() };
    let both = [as_kept(&asked), as_kept(&said)];
    let page = store.memories(Some(&ann()), &MemoryFilter::default(), None, 10).await.expect("read");
    assert_eq!((page.memories.as_slice(), page.more), (both.as_slice(), false), "the newest first");
    assert_eq!(store.facts(&anns(), Timestamp(5000)).await.expect("read"), both[1..]);
    let found = store.memories_by_id(Some(&ann()), &[memory_id("f"), memory_id("x"), memory_id("e")]).await;
    assert_eq!(found.expect("read").len(), 2);
    let trace = Trace {
        id: memory_id("e"),
        session: Some(session_id("s")),
        said_at: Timestamp(2000),
        words: words(text),
        vector: None,
    };
    assert_eq!(traces(&*store, &anns(), None).await, [trace]);
    assert_eq!(store.count_memories().await.expect("read"), (1, 1));
    assert_eq!(keep(&*store, &anns(), in_session("s", "q", episode("e2", "else", "", 3000))).await, Kept::Known);
    assert_eq!(keep(&*store, &anns(), in_session("s", "q2", episode("e", "else", "", 3000))).await, Kept::Known);
}

pub(super) async fn memories_never_cross_from_one_user_to_another(store: Arc<impl Remembering>) {
    let id = |prefix: &str, at: usize| format!("{prefix}-{at}");
    for (at, name) in OWNERS.into_iter().enumerate() {
        let session = SessionRecord { owner: owner(name), ..record(&id("s", at), 1000) };
        store.create_session(session).await.expect("stored");
        let new = vec![
            in_session(&id("s", at), "m", about("name", fact(&id("f", at), "my name is Ann", 1000))),
            in_session(&id("s", at), "m", episode(&id("e", at), "my name is Ann", "Hello", 1000)),
        ];
        let kept = store.keep_memories(&notebook(name, "companion"), new).await.expect("written");
        assert!(kept.iter().all(|kept| matches!(kept, Kept::New { ended, .. } if ended.is_empty())), "{kept:?}");
    }
    let everything = || Forget::All(MemoryFilter::default());
    for (at, name) in OWNERS.into_iter().enumerate() {
        let (own, book) = (owner(name), notebook(name, "companion"));
        let ids = [id("e", at), id("f", at)];
        assert_eq!(facts(&*store, &book).await, [id("f", at)]);
        assert_eq!(episodes(&*store, &book).await, [id("e", at)]);
        assert_eq!(listed(&*store, own.as_ref(), &MemoryFilter::default()).await, ids);
        assert!(facts(&*store, &notebook(name, "other")).await.is_empty());
        assert!(episodes(&*store, &notebook(name, Notebook::SHARED)).await.is_empty());
        for other in (0..OWNERS.len()).filter(|other| *other != at) {
            let theirs = [memory_id(&id("f", other)), memory_id(&id("e", other))];
            assert!(store.memories_by_id(own.as_ref(), &theirs).await.expect("read").is_empty());
            let session = MemoryFilter { session: Some(session_id(&id("s", other))), ..MemoryFilter::default() };
            assert!(listed(&*store, own.as_ref(), &session).await.is_empty());
            let below = store.memories(own.as_ref(), &MemoryFilter::default(), Some(&theirs[0]), 9).await;
            assert!(matches!(below, Err(StoreError::NoSession)), "{below:?}");
            assert_eq!(
                store.reword(own.as_ref(), &theirs[0], other_words("x", None), Timestamp(9)).await.expect("written"),
                None
            );
            for what in [Forget::One(theirs[0].clone()), Forget::Undo(theirs[1].clone()), Forget::All(session)] {
                let forgotten = store.forget(own.as_ref(), what, Timestamp(2000)).await.expect("written");
                assert_eq!(forgotten, Forgotten::default());
            }
        }
    }
    assert_eq!(store.count_memories().await.expect("read"), (4, 4));

    // What one does is of no concern to the others.
    store.set_remembers(Some(&ann()), false).await.expect("set");
    assert_eq!(forget(&*store, everything(), 5000).await, (1, 1));
    for name in &OWNERS[1..] {
        let (own, book) = (owner(*name), notebook(*name, "companion"));
        assert!(store.remembers(own.as_ref()).await.expect("read"));
        assert_eq!((facts(&*store, &book).await.len(), episodes(&*store, &book).await.len()), (1, 1));
        keep_new(&*store, &book, fact(&format!("late-{name:?}").replace('"', ""), "I like tea", 4000)).await;
    }
    assert!(store.delete_session(&session_id("s-1")).await.expect("deleted"));
    assert_eq!(store.count_memories().await.expect("read"), (6, 2));
    let nobody = store.forget(None, everything(), Timestamp(6000)).await.expect("written");
    assert_eq!(nobody, Forgotten { facts: 2, episodes: 1 });
    assert_eq!(facts(&*store, &notebook(OWNERS[2], "companion")).await.len(), 2);
}

pub(super) async fn a_fact_takes_the_place_of_another_and_is_taken_back(store: Arc<impl Remembering>) {
    let home = |id, place, at| about("home", fact(id, &format!("I live in {place}"), at));
    assert!(keep_new(&*store, &anns(), home("1", "Berlin", 1000)).await.is_empty());
    assert!(keep_new(&*store, &anns(), about("name", fact("n", "I am Ann", 1100))).await.is_empty());
    assert!(keep_new(&*store, &notebook(OWNERS[0], "other"), home("o", "Rome", 1200)).await.is_empty());
    assert_eq!(keep(&*store, &anns(), home("1b", "BERLIN", 1300)).await, Kept::Known);
    assert_eq!(keep_new(&*store, &anns(), home("2", "Paris", 1400)).await, ["1"]);
    assert_eq!(facts(&*store, &anns()).await, ["n", "2"]);
    let first = store.memories_by_id(Some(&ann()), &[memory_id("1")]).await.expect("read");
    assert_eq!(first[0].ended_at, Some(Timestamp(1400)));
    assert_eq!(keep(&*store, &anns(), home("late", "Bonn", 1350)).await, Kept::Known, "said earlier, and kept later");
    // What was denied once can be denied again, when it was said meanwhile.
    let work = notebook(OWNERS[0], "work");
    let left = |id, at| NewMemory { ends: vec!["job".to_owned()], ..fact(id, "I left", at) };
    assert!(keep_new(&*store, &work, left("left", 1000)).await.is_empty());
    assert!(keep_new(&*store, &work, about("job", fact("job", "I work", 1100))).await.is_empty());
    assert_eq!(keep_new(&*store, &work, left("again", 1200)).await, ["job", "left"]);
    assert_eq!(facts(&*store, &work).await, ["again"]);
    // Within one call, too, and what was said before holds again when it is said again.
    let new = vec![home("3", "Oslo", 1500), home("3b", "oslo", 1500), home("4", "Berlin", 1600)];
    let kept = store.keep_memories(&anns(), new).await.expect("written");
    assert!(matches!(&kept[..], [Kept::New { .. }, Kept::Known, Kept::New { .. }]), "{kept:?}");
    assert_eq!(facts(&*store, &anns()).await, ["n", "4"]);

    assert_eq!(forget(&*store, Forget::Undo(memory_id("3")), 2000).await, (1, 0));
    assert_eq!(facts(&*store, &anns()).await, ["n", "4"], "what it ended ends with what has ended it");
    assert_eq!(forget(&*store, Forget::Undo(memory_id("4")), 2000).await, (1, 0));
    assert_eq!(facts(&*store, &anns()).await, ["n", "2"]);
    assert_eq!(forget(&*store, Forget::Undo(memory_id("4")), 2000).await, (0, 0));
    assert_eq!(keep_new(&*store, &anns(), home("5", "Berlin", 2100)).await, ["2"], "said again");

    let bern = other_words("I live in Bern", Some("home"));
    let new =
        store.reword(Some(&ann()), &memory_id("5"), bern, Timestamp(2200)).await.expect("written").expect("there");
    assert_eq!(
        (new.text.as_str(), new.origin, new.attribute.as_deref()),
        ("I live in Bern", Origin::Explicit, Some("home"))
    );
    keep_new(&*store, &anns(), episode("e", "Hotels?", "In Bern where I live", 2200)).await;
    assert_eq!(
        store.reword(Some(&ann()), &memory_id("e"), other_words("x", None), Timestamp(9)).await.expect("written"),
        None
    );
    // It is about something else now, and takes the place of what was.
    let name = other_words("My name is Anna", Some("name"));
    let new =
        store.reword(Some(&ann()), &memory_id("5"), name, Timestamp(2300)).await.expect("written").expect("there");
    assert_eq!((new.attribute.as_deref(), facts(&*store, &anns()).await), (Some("name"), vec!["5".to_owned()]));
    let bern = other_words("I live in Bern", None);
    let new =
        store.reword(Some(&ann()), &memory_id("5"), bern, Timestamp(2400)).await.expect("written").expect("there");
    assert_eq!(new.attribute, None);
    assert_eq!(forget(&*store, Forget::One(memory_id("5")), 3000).await, (1, 1), "by its new words");
}

pub(super) async fn what_is_forgotten_goes_with_all_that_mentions_it(store: Arc<impl Remembering>) {
    store.create_session(SessionRecord { owner: Some(ann()), ..record("s", 1000) }).await.expect("stored");
    let nuts = || in_session("s", "m1", fact("nuts", "allergic nuts", 1000));
    let all = vec![
        nuts(),
        in_session("s", "m1", fact("tea", "like tea", 1000)),
        in_session("s", "m1", episode("said", "By the way", "Noted", 1000)),
        episode("mentions", "A cake?", "Without nuts for you are allergic", 1100),
        episode("half", "Which nuts grow here?", "Hazel", 1200),
        fact("other", "like coffee", 1300),
    ];
    store.keep_memories(&anns(), all).await.expect("written");
    let elsewhere = notebook(OWNERS[0], "other");
    keep_new(&*store, &elsewhere, episode("elsewhere", "allergic nuts", "", 1000)).await;

    assert_eq!(forget(&*store, Forget::One(memory_id("nuts")), 2000).await, (1, 2));
    assert_eq!(facts(&*store, &anns()).await, ["tea", "other"], "another fact of the same message stays");
    assert_eq!(episodes(&*store, &anns()).await, ["half"]);
    assert_eq!(episodes(&*store, &elsewhere).await, ["elsewhere"]);
    assert_eq!(forget(&*store, Forget::One(memory_id("nuts")), 2000).await, (0, 0));
    // What was said before is not remembered again: the same, what mentions it, and what else was said in that message.
    let again = vec![
        nuts(),
        episode("late", "Cake?", "Nuts : allergic", 2000),
        in_session("s", "m1", fact("more", "like milk", 1000)),
        fact("fine", "like water", 1900),
    ];
    let kept = store.keep_memories(&anns(), again).await.expect("written");
    let [Kept::Forgotten, Kept::Forgotten, Kept::Forgotten, Kept::New { .. }] = &kept[..] else { panic!("{kept:?}") };
    keep_new(&*store, &elsewhere, fact("there", "allergic nuts", 1000)).await;
    keep_new(&*store, &anns(), in_session("s", "m2", fact("later", "allergic nuts", 2001))).await;

    // An episode goes alone.
    keep_new(&*store, &anns(), in_session("s", "m2", episode("e", "allergic nuts", "I see", 2001))).await;
    assert_eq!(forget(&*store, Forget::One(memory_id("e")), 3000).await, (0, 1));
    assert!(facts(&*store, &anns()).await.contains(&"later".to_owned()));
    assert_eq!(keep(&*store, &anns(), in_session("s", "m2", episode("e2", "x", "", 2001))).await, Kept::Forgotten);

    // Without words it is known by its message alone.
    let mut wordless = in_session("s", "m3", fact("wordless", "!", 4000));
    wordless.words = Words::default();
    keep_new(&*store, &anns(), wordless).await;
    assert_eq!(forget(&*store, Forget::One(memory_id("wordless")), 4000).await, (1, 0));
    keep_new(&*store, &anns(), fact("free", "like juice", 4000)).await;
}

pub(super) async fn all_is_forgotten_by_notebook_sort_and_conversation(store: Arc<impl Remembering>) {
    for id in ["s", "t"] {
        store.create_session(SessionRecord { owner: Some(ann()), ..record(id, 1000) }).await.expect("stored");
    }
    let other = notebook(OWNERS[0], "other");
    for (book, name) in [(&anns(), "c"), (&other, "o")] {
        for session in ["s", "t"] {
            let (f, e, m) = (format!("f{name}{session}"), format!("e{name}{session}"), format!("m{name}"));
            keep_new(&*store, book, in_session(session, &m, fact(&f, &f, 1000))).await;
            keep_new(&*store, book, in_session(session, &m, episode(&e, &e, "", 1000))).await;
        }
    }
    let filter = |assistant: Option<&str>, kind, session: Option<&str>| MemoryFilter {
        assistant: assistant.map(str::to_owned),
        kind,
        session: session.map(session_id),
    };
    let fact_kind = Some(MemoryKind::Fact);
    assert_eq!(listed(&*store, Some(&ann()), &filter(Some("other"), None, Some("t"))).await, ["eot", "fot"]);
    assert_eq!(listed(&*store, Some(&ann()), &filter(None, fact_kind, None)).await, ["fot", "fos", "fct", "fcs"]);

    assert_eq!(forget(&*store, Forget::All(filter(None, fact_kind, Some("t"))), 2000).await, (2, 0));
    assert_eq!(keep(&*store, &other, in_session("t", "m9", fact("x", "x", 2000))).await, Kept::Forgotten);
    keep_new(&*store, &other, in_session("s", "m9", fact("y", "y", 2000))).await;
    assert_eq!(forget(&*store, Forget::All(filter(Some("other"), None, None)), 2000).await, (2, 2));
    assert_eq!(keep(&*store, &other, fact("x", "x", 2000)).await, Kept::Forgotten);
    assert_eq!(listed(&*store, Some(&ann()), &MemoryFilter::default()).await, ["ect", "ecs", "fcs"]);
    assert_eq!(forget(&*store, Forget::All(MemoryFilter::default()), 3000).await, (1, 2));
    for book in [&anns(), &other, &notebook(OWNERS[0], "third")] {
        assert_eq!(keep(&*store, book, fact("x", "x", 3000)).await, Kept::Forgotten);
    }
    keep_new(&*store, &anns(), fact("x", "x", 3001)).await;
}

pub(super) async fn episodes_go_with_the_conversation_that_is_deleted(store: Arc<impl Remembering>) {
    for id in ["s", "t"] {
        store.create_session(SessionRecord { owner: Some(ann()), ..record(id, 1000) }).await.expect("stored");
        keep_new(&*store, &anns(), in_session(id, "m", fact(&format!("f{id}"), id, 1000))).await;
        keep_new(&*store, &anns(), in_session(id, "m", episode(&format!("e{id}"), id, "", 1000))).await;
    }
    assert!(store.delete_session(&session_id("s")).await.expect("deleted"));
    assert_eq!(episodes(&*store, &anns()).await, ["et"]);
    assert_eq!(facts(&*store, &anns()).await, ["fs", "ft"], "what was said of oneself stays");
    assert_eq!(keep(&*store, &anns(), in_session("s", "n", episode("late", "x", "", 1000))).await, Kept::Forgotten);
    let expired = store.delete_expired(Timestamp(2000), 9).await.expect("deleted");
    assert_eq!(expired, [session_id("t")]);
    assert_eq!(episodes(&*store, &anns()).await, ["et"], "conversations that are old go alone");
    let of_session = MemoryFilter { session: Some(session_id("s")), ..MemoryFilter::default() };
    assert_eq!(forget(&*store, Forget::All(of_session), 2000).await, (1, 0));

    let temporary = SessionRecord { is_temporary: true, ..record("temporary", 1000) };
    store.create_session(temporary.clone()).await.expect("stored");
    assert_eq!(store.session(&temporary.id).await.expect("read"), Some(temporary.clone()));
    assert_eq!(store.sessions(None, None, None, 9).await.expect("read").sessions, [temporary]);
}

pub(super) async fn memories_expire(store: Arc<impl Remembering>) {
    let until = |expires: u64, mut new: NewMemory| {
        new.memory.expires_at = Some(Timestamp(expires));
        new
    };
    for (id, expires) in [("1", 5_000), ("2", 5_001), ("3", 4_000)] {
        keep_new(&*store, &anns(), until(expires, fact(&format!("f{id}"), id, 1000))).await;
        keep_new(&*store, &anns(), until(expires, episode(&format!("e{id}"), id, "", 1000))).await;
    }
    keep_new(&*store, &anns(), fact("f", "stays", 1000)).await;
    assert_eq!(facts(&*store, &anns()).await, ["f2", "f"], "at 5000");
    assert_eq!(episodes(&*store, &anns()).await, ["e2"]);
    assert_eq!(keep_new(&*store, &anns(), fact("again", "3", 4_500)).await.len(), 0, "what is over is not known");
    assert_eq!(store.delete_expired_memories(Timestamp(5_000), 2).await.expect("deleted"), 2);
    assert_eq!(store.count_memories().await.expect("read"), (4, 2), "the first that were over");
    assert_eq!(store.delete_expired_memories(Timestamp(5_000), usize::MAX).await.expect("deleted"), 2);
    assert_eq!(store.delete_expired_memories(Timestamp(5_000), 9).await.expect("deleted"), 0);
    assert_eq!(listed(&*store, Some(&ann()), &MemoryFilter::default()).await, ["again", "f", "e2", "f2"]);
}

pub(super) async fn vectors_are_of_one_model(store: Arc<impl Remembering>) {
    for (at, id) in ["a", "b", "c"].into_iter().enumerate() {
        keep_new(&*store, &anns(), episode(id, &format!("text of {id}"), "", 1000 + at as u64)).await;
    }
    keep_new(&*store, &notebook(None, "companion"), episode("n", "text of n", "", 2000)).await;
    keep_new(&*store, &anns(), fact("f", "no trace", 1000)).await;
    let missing = async |model: &str, limit: usize| {
        let found = store.without_vector(model, limit).await.expect("read");
        found.into_iter().map(|(id, text)| format!("{id}: {text}")).collect::<Vec<_>>()
    };
    assert_eq!(missing("m1", 2).await, ["n: text of n", "c: text of c"]);
    let vector = vec![-128, -1, 0, 1, 127];
    let vectors = vec![
        (memory_id("a"), vector.clone()),
        (memory_id("b"), vec![7; 384]),
        (memory_id("gone"), vec![1]),
        (memory_id("f"), vec![1]),
    ];
    store.set_vectors("m1", vectors).await.expect("kept");
    assert_eq!(missing("m1", 9).await, ["n: text of n", "c: text of c"]);
    assert_eq!(missing("m0", 9).await.len(), 4);
    assert_eq!(missing("m2", 3).await, ["n: text of n", "c: text of c", "b: text of b"]);
    let found = async |model| {
        let traces = traces(&*store, &anns(), model).await;
        traces.into_iter().map(|trace| trace.vector).collect::<Vec<_>>()
    };
    assert_eq!(found(Some("m1")).await, [Some(vector), Some(vec![7; 384]), None]);
    assert_eq!(found(Some("m2")).await, [None, None, None]);
    assert_eq!(found(None).await, [None, None, None]);
    store.set_vectors("m2", vec![(memory_id("a"), vec![3])]).await.expect("kept");
    assert_eq!(found(Some("m1")).await, [None, Some(vec![7; 384]), None]);
    assert_eq!(found(Some("m2")).await, [Some(vec![3]), None, None]);
    assert_eq!(forget(&*store, Forget::One(memory_id("a")), 2000).await, (0, 1));
    assert_eq!(missing("m1", 9).await, ["n: text of n", "c: text of c"], "its trace is gone with it");
}

pub(super) async fn a_user_wants_to_be_remembered_or_not(store: Arc<impl Remembering>) {
    assert!(store.remembers(Some(&ann())).await.expect("read"), "by default");
    for does in [false, false, true, false] {
        store.set_remembers(Some(&ann()), does).await.expect("set");
        assert_eq!(store.remembers(Some(&ann())).await.expect("read"), does);
        assert!(store.remembers(Some(&Owner::new("other/ann"))).await.expect("read"));
        assert!(store.remembers(None).await.expect("read"));
    }
    store.set_remembers(None, false).await.expect("set");
    assert!(!store.remembers(None).await.expect("read"));
    // Whoever switches it off while something is said is not remembered by that.
    let both = || vec![fact("f", "like tea", 1000), episode("e", "like tea", "", 1000)];
    let nobodys = notebook(None, "companion");
    assert_eq!(store.keep_memories(&nobodys, both()).await.expect("read"), [Kept::Off, Kept::Off]);
    assert!(facts(&*store, &nobodys).await.is_empty() && episodes(&*store, &nobodys).await.is_empty());
    store.set_remembers(None, true).await.expect("set");
    assert!(matches!(keep(&*store, &nobodys, both().remove(0)).await, Kept::New { .. }));
}

pub(super) async fn a_message_is_taken_back_with_its_episode(store: Arc<impl Remembering>) {
    store.create_session(SessionRecord { owner: Some(ann()), ..record("s", 1000) }).await.expect("stored");
    keep_new(&*store, &anns(), about("home", in_session("s", "m0", fact("rome", "live Rome", 900)))).await;
    let of_message = |again| {
        let mut home = about("home", in_session("s", "m1", fact("oslo", "live Oslo", 1000)));
        let mut tea = in_session("s", "m1", fact("tea", "like tea", 1000));
        (home.is_again, tea.is_again) = (again, again);
        vec![home, tea]
    };
    let said = || in_session("s", "m1", episode("said", "Oslo and tea", "", 1000));
    // It was stopped before anything was kept of it.
    store.keep_memories(&anns(), of_message(true)).await.expect("written");
    keep_new(&*store, &anns(), said()).await;
    assert_eq!(store.keep_memories(&anns(), of_message(true)).await.expect("written"), [Kept::Known, Kept::Known]);
    assert_eq!(forget(&*store, Forget::Undo(memory_id("tea")), 2000).await, (1, 1));
    assert_eq!(facts(&*store, &anns()).await, ["oslo"]);
    assert_eq!(store.keep_memories(&anns(), of_message(true)).await.expect("written"), [Kept::Known, Kept::Known]);
    assert_eq!(keep(&*store, &anns(), said()).await, Kept::Forgotten);
    keep_new(&*store, &anns(), in_session("s", "m2", fact("again", "like tea", 2500))).await;

    assert_eq!(forget(&*store, Forget::Undo(memory_id("oslo")), 3000).await, (1, 0));
    assert_eq!(facts(&*store, &anns()).await, ["rome", "again"]);
}

/// Whether anybody answers the edited question or not: what takes it back is the edit.
pub(super) async fn an_edited_message_takes_back_what_it_told(store: Arc<impl Remembering>) {
    for (session, owner) in [("s", Some(ann())), ("nobodys", None)] {
        let id = make(&*store, SessionRecord { owner: owner.clone(), ..record(session, 1000) }).await;
        let book = |assistant: &str| Notebook { owner: owner.clone(), assistant: assistant.to_owned() };
        let named = |name: &str| format!("{session}-{name}");
        let told = |name: &str, message: &str, text: &str, at| {
            about("home", in_session(session, message, fact(&named(name), text, at)))
        };
        store.append_turn(&id, Fence::FIRST, turn("q1", "I live in Oslo", 2000)).await.expect("stored");
        keep_new(&*store, &book("companion"), told("rome", "q0", "live Rome", 1000)).await;
        keep_new(&*store, &book("companion"), told("oslo", "q1", "live Oslo", 2000)).await;
        keep_new(&*store, &book("other"), told("others", "q1", "live Oslo", 2000)).await;
        keep_new(&*store, &book("other"), in_session(session, "q1", episode(&named("e"), "live Oslo", "", 2000))).await;
        // Somebody else's message of the same name.
        keep_new(&*store, &notebook(OWNERS[1], "companion"), told("bens", "q1", "live Oslo", 2000)).await;

        stored(&*store, &id, edited("q2", "q1", "I live in Bonn")).await;
        assert_eq!(facts(&*store, &book("companion")).await, [named("rome")], "it holds again");
        let of_other = MemoryFilter { assistant: Some("other".to_owned()), ..MemoryFilter::default() };
        assert_eq!(listed(&*store, owner.as_ref(), &of_other).await, Vec::<String>::new());
        assert_eq!(facts(&*store, &notebook(OWNERS[1], "companion")).await, [named("bens")]);
        // What the first form's answer brings late is not kept.
        let late = [
            told("late", "q1", "live Paris", 2000),
            in_session(session, "q1", episode(&named("late-e"), "live Paris", "", 2000)),
        ];
        for late in late {
            assert_eq!(keep(&*store, &book("companion"), late).await, Kept::Forgotten);
        }
        // Edited again before it was answered, in two steps of which the first told something.
        keep_new(&*store, &book("companion"), told("bonn", "q2", "live Bonn", 7000)).await;
        stored(&*store, &id, edited("q3", "q2", "I live in Graz")).await;
        stored(&*store, &id, edited("q4", "q3", "I like tea")).await;
        assert_eq!(facts(&*store, &book("companion")).await, [named("rome")]);
        // The same may be said of the question that stands there now.
        keep_new(&*store, &book("companion"), told("again", "q4", "live Oslo", 7000)).await;
        // An answer anew takes nothing back.
        stored(&*store, &id, another_answer("anew", None)).await;
        assert_eq!(facts(&*store, &book("companion")).await, [named("again")]);
        let bens = MemoryFilter::default();
        store.forget(Some(&Owner::new("acme/ben")), Forget::All(bens), Timestamp(1)).await.expect("forgotten");
    }
}

pub(super) async fn other_words_end_what_they_say_to_be_over(store: Arc<impl Remembering>) {
    for (id, text) in [("oslo", "live Oslo"), ("tea", "like tea"), ("note", "a note")] {
        keep_new(&*store, &anns(), fact(id, text, 1000)).await;
    }
    keep_new(&*store, &notebook(OWNERS[0], "other"), fact("others", "live Oslo", 1000)).await;
    let over = vec![memory_id("oslo"), memory_id("others"), memory_id("note"), memory_id("unknown")];
    let new = Reworded { over, ..other_words("left Oslo", None) };
    let reworded = store.reword(Some(&ann()), &memory_id("note"), new, Timestamp(2000)).await.expect("written");
    assert_eq!(reworded.expect("there is one").text, "left Oslo");
    assert_eq!(facts(&*store, &anns()).await, ["tea", "note"], "neither itself nor what it does not name");
    assert_eq!(facts(&*store, &notebook(OWNERS[0], "other")).await, ["others"]);
    assert_eq!(forget(&*store, Forget::Undo(memory_id("note")), 3000).await, (1, 0));
    assert_eq!(facts(&*store, &anns()).await, ["oslo", "tea"], "it holds again");
}

pub(super) async fn what_mentions_words_is_forgotten_at_once(store: Arc<impl Remembering>) {
    let many = (0..80).map(|at| episode(&format!("e{at:02}"), "our boat", &format!("word{at}"), 1000));
    store.keep_memories(&anns(), many.collect()).await.expect("written");
    keep_new(&*store, &anns(), episode("all", "our boat", "paint", 1000)).await;
    let facts_of = vec![fact("boat", "boat paint", 1000), fact("part", "boat", 1000), fact("tea", "like tea", 1000)];
    store.keep_memories(&anns(), facts_of).await.expect("written");
    keep_new(&*store, &notebook(OWNERS[0], "other"), fact("others", "boat paint", 1000)).await;
    keep_new(&*store, &notebook(OWNERS[1], "companion"), fact("bens", "boat paint", 1000)).await;
    assert_eq!(forget(&*store, Forget::Words("companion".to_owned(), words("boat paint")), 2000).await, (2, 1));
    assert_eq!(facts(&*store, &anns()).await, ["tea"]);
    // What has a word of it in common is something else.
    assert_eq!(store.count_memories().await.expect("read"), (3, 80));
    assert_eq!(keep(&*store, &anns(), fact("late", "paint boat", 1500)).await, Kept::Forgotten);
    keep_new(&*store, &anns(), fact("later", "paint boat", 2500)).await;
}

pub(super) async fn a_notebook_has_so_many_facts(store: Arc<impl Remembering>) {
    let many = |range: std::ops::Range<usize>| range.map(|at| fact(&format!("f{at}"), &format!("fact {at}"), 1000));
    let kept = store.keep_memories(&anns(), many(0..MAX_FACTS).collect()).await.expect("written");
    assert!(kept.iter().all(|kept| matches!(kept, Kept::New { .. })));
    assert_eq!(keep(&*store, &anns(), fact("more", "more", 1000)).await, Kept::Full);
    keep_new(&*store, &notebook(OWNERS[1], "companion"), fact("bens", "more", 1000)).await;
    keep_new(&*store, &anns(), episode("e", "more", "", 1000)).await;
    assert_eq!(forget(&*store, Forget::One(memory_id("f0")), 900).await, (1, 0));
    keep_new(&*store, &anns(), about("name", fact("n1", "my name is Ann", 1000))).await;
    // The one whose place it takes makes room for it.
    assert_eq!(keep_new(&*store, &anns(), about("name", fact("n2", "my name is Anna", 1000))).await, ["n1"]);
    assert_eq!(facts(&*store, &anns()).await.len(), MAX_FACTS);
    assert_eq!(store.count_memories().await.expect("read"), (MAX_FACTS as u64 + 1, 1));
    assert_eq!(keep(&*store, &anns(), fact("more", "more", 1000)).await, Kept::Full);

    let mut page = store.memories(Some(&ann()), &MemoryFilter::default(), None, usize::MAX).await.expect("read");
    assert_eq!((page.memories.len(), page.more), (500, true));
    let last = page.memories.pop().expect("one").id;
    page = store.memories(Some(&ann()), &MemoryFilter::default(), Some(&last), 9).await.expect("read");
    assert_eq!((page.memories.len(), page.more), (1, false));
}

pub(super) async fn the_newest_episodes_of_a_notebook_stay(store: Arc<impl Remembering>) {
    keep_new(&*store, &notebook(OWNERS[1], "companion"), episode("bens", "first", "", 1)).await;
    let ids = |at: usize| format!("e{at:06}");
    for from in (0..MAX_EPISODES + 500).step_by(500) {
        let new = (from..from + 500).map(|at| episode(&ids(at), &format!("question {at}"), "", 1000)).collect();
        let kept = store.keep_memories(&anns(), new).await.expect("written");
        assert!(kept.iter().all(|kept| matches!(kept, Kept::New { .. })));
    }
    let found = episodes(&*store, &anns()).await;
    assert_eq!((found.len(), &found[0], &found[MAX_EPISODES - 1]), (MAX_EPISODES, &ids(500), &ids(MAX_EPISODES + 499)));
    assert_eq!(store.count_memories().await.expect("read"), (0, MAX_EPISODES as u64 + 1));
    assert_eq!(forget(&*store, Forget::All(MemoryFilter::default()), 2000).await, (0, MAX_EPISODES));
    assert_eq!(store.without_vector("m", 9).await.expect("read").len(), 1, "no trace is left behind");
}

pub(super) async fn what_was_forgotten_long_ago_is_forgotten_as_a_whole(store: Arc<impl Remembering>) {
    let of_no_message = |at: usize| {
        let mut new = fact("f", &format!("fact{at}"), 1000);
        new.memory.message = None;
        new
    };
    for at in 0..=MAX_FORGOTTEN {
        keep_new(&*store, &anns(), of_no_message(at)).await;
        assert_eq!(forget(&*store, Forget::One(memory_id("f")), 1000).await, (1, 0));
    }
    for at in [0, 1, MAX_FORGOTTEN] {
        assert_eq!(keep(&*store, &anns(), of_no_message(at)).await, Kept::Forgotten);
    }
    let mut later = of_no_message(0);
    later.memory.said_at = Timestamp(1001);
    assert!(matches!(keep(&*store, &anns(), later).await, Kept::New { .. }));
}

pub(super) async fn what_is_kept_at_once_is_kept_once(store: Arc<impl Remembering>) {
    let tasks = (0..8).map(|at| {
        let store = store.clone();
        async move { keep(&*store, &anns(), about("name", fact(&format!("f{at}"), "I am Ann", 1000))).await }
    });
    let kept = futures_util::future::join_all(tasks).await;
    assert_eq!(kept.iter().filter(|kept| matches!(kept, Kept::New { .. })).count(), 1, "{kept:?}");
    assert_eq!(kept.iter().filter(|kept| **kept == Kept::Known).count(), 7);
}
