//! What every [`SessionStore`] has to do, tried on each of them.

mod answers;
mod artifacts;
pub(super) mod audit;
mod branches;
mod credentials;
mod memories;
mod sessions;
mod spending;

use std::sync::Arc;

use self::{
    answers::*, artifacts::*, audit::entries_come_back_newest_first_by_tenant_and_leave_by_age, branches::*,
    credentials::*, memories::*, sessions::*, spending::what_was_spent_comes_back,
};
use super::{
    Appended, ArtifactStore, Awaiting, Branch, Branched, FeedbackCount, Fence, FinishedAnswer, MAX_PAGE, MAX_SESSIONS,
    MessagePage, Piece, Scope, SessionRecord, SessionStore, SpendingStore, Spent, StoreError, Turn,
    postgres::{PostgresStore, tests::server::SHARED},
    sqlite::SqliteStore,
    volatile::VolatileStore,
};
use crate::chat::{
    Approval, Approver, Artifact, ArtifactId, ArtifactKind, CallId, Citation, Feedback, Message, MessageId, Owner,
    Rating, RunId, SessionId, Source, Status, Timestamp, Title, ToolCall, ToolOutcome, ToolStatus, ToolUse, Usage,
};
use serde_json::json;

pub(super) fn session_id(text: &str) -> SessionId {
    SessionId::parse(text).expect("an id")
}

pub(super) fn message_id(text: &str) -> MessageId {
    MessageId::parse(text).expect("an id")
}

pub(super) fn record(id: &str, created_at: u64) -> SessionRecord {
    SessionRecord {
        id: session_id(id),
        assistant: "default".to_owned(),
        metadata: None,
        created_at: Timestamp(created_at),
        updated_at: Timestamp(created_at),
        message_count: 0,
        owner: None,
        is_temporary: false,
        title: None,
    }
}

pub(super) fn turn(question: &str, text: &str, created_at: u64) -> Turn {
    let run = RunId::parse(&format!("r-{question}")).expect("an id");
    let (id, created_at) = (message_id(question), Timestamp(created_at));
    Turn {
        opens: None,
        answer: Message::pending(message_id(&format!("a-{question}")), Some(id.clone()), run.clone(), created_at),
        question: Message::question(id, text.to_owned(), run, created_at),
    }
}

pub(super) fn finished(question: &str, text: &str, status: Status) -> FinishedAnswer {
    FinishedAnswer {
        id: message_id(&format!("a-{question}")),
        run: RunId::parse(&format!("r-{question}")).expect("an id"),
        text: text.to_owned(),
        status,
        model: Some("small-1".to_owned()),
        version: Some("0123456789ab".to_owned()),
        variant: None,
        citations: vec![Citation { n: 1, start: 0, end: 4 }],
        sources: vec![Source {
            n: 1,
            document: "d1".to_owned(),
            chunk: 4,
            title: "Loans \u{1f4b0}".to_owned(),
            uri: None,
            page: Some(3),
            page_end: Some(4),
            place: None,
            heading: Some("Rates".to_owned()),
            score: 0.1 + 0.2,
            snippet: "From 4.1 %".to_owned(),
        }],
        tools: vec![ToolUse {
            call: ToolCall {
                call: CallId::parse("c-1").expect("an id"),
                tool: "emi".to_owned(),
                title: "Monthly instalment".to_owned(),
                args: json!({"months": 36}),
                off: 2,
                changes: false,
            },
            outcome: ToolOutcome {
                status: ToolStatus::Ok,
                ms: 3,
                summary: "16,251.22 a month".to_owned(),
                data: Some(json!({"emi": 16251.22})),
                approval: None,
                artifacts: vec![Artifact {
                    artifact: ArtifactId::parse("f-1").expect("an id"),
                    kind: ArtifactKind::File,
                    title: "Offer.pdf".to_owned(),
                    media: "application/pdf".to_owned(),
                    bytes: 7,
                }],
            },
        }],
        usage: Some(Usage { input: 7, output: 9, estimated: true }),
    }
}

pub(super) fn piece(question: &str, at: usize, text: &str) -> Piece {
    let answer = message_id(&format!("a-{question}"));
    Piece { session: session_id("s"), fence: Fence::FIRST, answer, at, text: text.to_owned(), tools: None }
}

/// Runs every test of the contract against one way of making a store.
macro_rules! contract {
    ($name:ident, $store:expr, [$($test:ident),* $(,)?]) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let (store, _keep) = $store.await;
                    super::$test(Arc::new(store)).await;
                }
            )*
        }
    };
}

macro_rules! contracts {
    ($tests:tt) => {
        contract!(volatile, async { (VolatileStore::default(), ()) }, $tests);
        contract!(sqlite, async { sqlite_store() }, $tests);
        contract!(postgres, postgres_store(), $tests);
    };
}

contracts!([
    a_session_comes_back_as_it_was_stored,
    a_taken_session_id_is_refused,
    sessions_are_paged_newest_first,
    sessions_are_listed_by_owner,
    an_owner_has_so_many_sessions_and_others_have_theirs,
    a_turn_is_stored_once,
    a_session_is_stored_with_its_first_turn,
    an_answer_grows_and_ends,
    answers_grow_side_by_side,
    an_ended_answer_stays_as_it_is,
    what_cannot_be_read_again_is_refused,
    messages_are_paged_backwards,
    calls_are_kept_while_an_answer_grows,
    an_answer_waits_and_another_goes_on_from_it_once,
    an_answer_is_written_anew,
    a_question_is_edited,
    a_branch_begins_in_the_conversation_only,
    feedback_is_kept_with_its_message,
    feedback_is_counted_by_day_model_and_version,
    limits_are_bounded,
    a_session_is_called_after_its_first_question_and_as_somebody_names_it,
    sessions_are_found_by_their_titles,
    deleting_a_session_takes_all_of_it,
    expired_sessions_go_and_used_ones_stay,
    missing_sessions_are_told,
    racing_duplicates_are_stored_once,
    two_hundred_turns_at_once_all_arrive,
    any_text_survives,
    artifacts_are_their_owners_and_go_with_the_session,
    the_newest_artifacts_of_an_owner_stay,
    old_artifacts_go,
]);

macro_rules! contracts_of_who_may {
    ($tests:tt) => {
        contract!(sqlite_who, async { sqlite_store() }, $tests);
        contract!(postgres_who, postgres_store(), $tests);
    };
}

contracts_of_who_may!([
    keys_come_back_as_they_were_stored,
    the_latest_revocation_holds_and_old_ones_go,
    single_tokens_stay_until_they_are_over_and_are_bounded_by_user,
    entries_come_back_newest_first_by_tenant_and_leave_by_age,
]);

macro_rules! contracts_of_memories {
    ($tests:tt) => {
        contract!(sqlite_memories, async { sqlite_store() }, $tests);
        contract!(postgres_memories, postgres_store(), $tests);
    };
}

contracts_of_memories!([
    a_memory_comes_back_as_it_was_kept,
    memories_never_cross_from_one_user_to_another,
    a_fact_takes_the_place_of_another_and_is_taken_back,
    what_is_forgotten_goes_with_all_that_mentions_it,
    all_is_forgotten_by_notebook_sort_and_conversation,
    episodes_go_with_the_conversation_that_is_deleted,
    memories_expire,
    vectors_are_of_one_model,
    a_user_wants_to_be_remembered_or_not,
    a_message_is_taken_back_with_its_episode,
    an_edited_message_takes_back_what_it_told,
    other_words_end_what_they_say_to_be_over,
    what_mentions_words_is_forgotten_at_once,
    a_notebook_has_so_many_facts,
    the_newest_episodes_of_a_notebook_stay,
    what_was_forgotten_long_ago_is_forgotten_as_a_whole,
    what_is_kept_at_once_is_kept_once,
]);

#[tokio::test]
async fn what_was_spent_on_a_day_comes_back_in_memory() {
    what_was_spent_comes_back(&VolatileStore::default()).await;
}

#[tokio::test]
async fn what_was_spent_on_a_day_comes_back_from_sqlite() {
    let (store, _keep) = sqlite_store();
    what_was_spent_comes_back(&store).await;
}

#[tokio::test]
async fn what_was_spent_on_a_day_comes_back_from_postgres() {
    let (store, ()) = postgres_store().await;
    what_was_spent_comes_back(&store).await;
}

async fn postgres_store() -> (PostgresStore, ()) {
    (PostgresStore::open(&SHARED.fresh().await).await.expect("opens"), ())
}

fn sqlite_store() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (SqliteStore::open(folder.path().join("rivulet.db")).expect("opens"), folder)
}

/// Stores a session that is this gateway's.
async fn make(store: &dyn SessionStore, session: SessionRecord) -> SessionId {
    let id = session.id.clone();
    store.create_session(session).await.expect("stored");
    store.take(&id).await.expect("nobody has it");
    id
}

async fn with_session(store: &dyn SessionStore) -> SessionId {
    make(store, record("s", 1000)).await
}

fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}
