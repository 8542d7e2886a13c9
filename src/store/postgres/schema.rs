//! The layout of the database, and how it came to be.
//!
//! Gateways of two versions may run on one database while one is replaced by the other. So a step only adds what the
//! version before it can do without: a table, a column that may be empty or has a default, an index. What an older
//! version cannot live with raises the oldest layout that a program must know.

use std::sync::Arc;

use tokio_postgres::types::Type;
use tracing::info;

use super::{
    connect::{Link, described, unavailable},
    writer::Failure,
};
use crate::store::StoreError;

/// One step per version of the layout, and the oldest version that a program must know to work on what it leaves behind.
const STEPS: &[(&str, i64)] = &[
(
    "
    -- A process of a gateway. dead: others have found that its lease was over; that is for ever.
    CREATE TABLE nodes (
        id         text PRIMARY KEY,
        dead       boolean NOT NULL DEFAULT false,
        expires_at timestamptz NOT NULL
    );

    -- node, fence: who writes to it, and for the how-manieth time somebody does. Order is that of bytes.
    CREATE TABLE sessions (
        id            text COLLATE \"C\" PRIMARY KEY,
        assistant     text NOT NULL,
        metadata      text,
        created_at    bigint NOT NULL,
        updated_at    bigint NOT NULL,
        message_count bigint NOT NULL,
        owner         text COLLATE \"C\",
        node          text REFERENCES nodes (id),
        fence         bigint NOT NULL
    );
    CREATE INDEX sessions_by_owner ON sessions (owner, created_at DESC, id);
    CREATE INDEX sessions_by_use ON sessions (updated_at, id);
    CREATE INDEX sessions_of_node ON sessions (node) WHERE node IS NOT NULL;

    -- position: the order of a conversation, rising because one writes at a time. text: what people and models say may
    -- have any character, and this database's texts have no NUL. fence: under which it was added.
    CREATE TABLE messages (
        position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        session_id text COLLATE \"C\" NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        id         text COLLATE \"C\" NOT NULL,
        role       text NOT NULL,
        text       bytea NOT NULL,
        status     text NOT NULL,
        run        text,
        model      text,
        citations  text,
        sources    text,
        usage      text,
        created_at bigint NOT NULL,
        question   text COLLATE \"C\",
        replaces   text COLLATE \"C\",
        replaced   boolean NOT NULL DEFAULT false,
        feedback   text,
        fence      bigint NOT NULL,
        UNIQUE (session_id, id)
    );
    CREATE INDEX messages_in_order ON messages (session_id, position);
    CREATE INDEX messages_pending ON messages (session_id) WHERE status = 'pending';
    CREATE INDEX messages_rated ON messages (created_at) WHERE feedback IS NOT NULL;

    -- What was added to an answer that is being written: behind its first `at` bytes stands `text` now.
    CREATE TABLE pieces (
        id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        answer bigint NOT NULL REFERENCES messages (position) ON DELETE CASCADE,
        at     bigint NOT NULL,
        text   bytea NOT NULL
    );
    CREATE INDEX pieces_of_answer ON pieces (answer, id);

    -- day: counted from 1970.
    CREATE TABLE spending (
        day     bigint NOT NULL,
        account text COLLATE \"C\" NOT NULL,
        tokens  bigint NOT NULL,
        PRIMARY KEY (day, account)
    );

    -- number: of the newest change of credentials; each row below has that of its own.
    CREATE TABLE changes (id integer PRIMARY KEY CHECK (id = 1), number bigint NOT NULL);
    INSERT INTO changes (id, number) VALUES (1, 0);

    -- hash: of the whole key, which is shown once and kept nowhere.
    CREATE TABLE api_keys (
        id         text PRIMARY KEY,
        name       text NOT NULL,
        hash       bytea NOT NULL,
        tenant     text NOT NULL,
        \"user\"     text NOT NULL,
        scopes     text NOT NULL,
        created_at bigint NOT NULL,
        expires_at bigint,
        used_at    bigint,
        revoked_at bigint,
        change     bigint NOT NULL
    );
    CREATE INDEX api_keys_by_change ON api_keys (change);

    -- user: empty for all of the tenant. before: tokens made earlier are not good any more.
    CREATE TABLE revocations (
        tenant text NOT NULL,
        \"user\" text NOT NULL,
        before bigint NOT NULL,
        change bigint NOT NULL,
        PRIMARY KEY (tenant, \"user\")
    );
    CREATE INDEX revocations_by_age ON revocations (before);
    CREATE INDEX revocations_by_change ON revocations (change);

    -- Single tokens that were taken back, by a hash; until: when they are over anyway.
    CREATE TABLE revoked_tokens (
        id     bytea PRIMARY KEY,
        tenant text NOT NULL,
        \"user\" text NOT NULL,
        until  bigint NOT NULL,
        change bigint NOT NULL
    );
    CREATE INDEX revoked_tokens_of_user ON revoked_tokens (tenant, \"user\");
    CREATE INDEX revoked_tokens_by_age ON revoked_tokens (until);
    CREATE INDEX revoked_tokens_by_change ON revoked_tokens (change);

    -- number: entries are only ever added, and leave by their age.
    CREATE TABLE audit (
        number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at      bigint NOT NULL,
        tenant  text COLLATE \"C\" NOT NULL,
        \"user\"  text NOT NULL,
        action  text NOT NULL,
        target  text NOT NULL,
        address text
    );
    CREATE INDEX audit_of_tenant ON audit (tenant, number);
    CREATE INDEX audit_by_age ON audit (at);

    CREATE TABLE probe (id integer PRIMARY KEY CHECK (id = 1), count bigint NOT NULL);
    INSERT INTO probe (id, count) VALUES (1, 0);
",
    1,
), (
    "
    -- Who works on documents: node has it until expires_at, by this clock. fence: for the how-manieth time somebody has it; it
    -- is unique so that whoever compares it holds up no renewal. place: what lies with the index and the files, and is the
    -- same wherever these documents are worked on.
    CREATE TABLE work (
        id         integer PRIMARY KEY CHECK (id = 1),
        fence      bigint NOT NULL UNIQUE,
        node       text,
        expires_at timestamptz NOT NULL,
        place      text
    );
    INSERT INTO work (id, fence, expires_at) VALUES (1, 0, '-infinity');

    -- Who writes about a tenant's documents locks its row.
    CREATE TABLE tenants (tenant text COLLATE \"C\" PRIMARY KEY);

    -- unerased: since when bytes of something deleted may be left; 0: they are to go at once.
    -- Whose row it is stands in every one of these. What is deleted keeps its row until the index has let go of it.
    CREATE TABLE collections (
        tenant     text COLLATE \"C\" NOT NULL,
        name       text COLLATE \"C\" NOT NULL,
        created_at bigint NOT NULL,
        deleted_at bigint,
        unerased   bigint,
        PRIMARY KEY (tenant, name)
    );
    CREATE INDEX collections_unerased ON collections (unerased) WHERE unerased IS NOT NULL;

    -- reader: a tenant that may read the collection of another one.
    CREATE TABLE readers (
        tenant     text COLLATE \"C\" NOT NULL,
        collection text COLLATE \"C\" NOT NULL,
        reader     text COLLATE \"C\" NOT NULL,
        PRIMARY KEY (reader, tenant, collection)
    );
    CREATE INDEX readers_of_collection ON readers (tenant, collection, reader);

    -- position: the order in which they came.
    CREATE TABLE documents (
        position        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id              text COLLATE \"C\" NOT NULL UNIQUE,
        tenant          text COLLATE \"C\" NOT NULL,
        collection      text COLLATE \"C\" NOT NULL,
        key             text COLLATE \"C\" NOT NULL,
        title           text NOT NULL,
        version         bigint NOT NULL,
        indexed_version bigint,
        state           text NOT NULL,
        code            text,
        reason          text,
        metadata        text,
        created_at      bigint NOT NULL,
        updated_at      bigint NOT NULL,
        deleted_at      bigint
    );
    CREATE UNIQUE INDEX documents_by_key ON documents (tenant, collection, key) WHERE deleted_at IS NULL;
    CREATE INDEX documents_in_order ON documents (tenant, position) WHERE deleted_at IS NULL;
    CREATE INDEX documents_of_collection ON documents (tenant, collection, position) WHERE deleted_at IS NULL;
    CREATE INDEX documents_deleted ON documents (position) WHERE deleted_at IS NOT NULL;

    -- name, title, uri: as they were given. doc_hash to chunks: what indexing it brought to light. released: by an admin.
    CREATE TABLE versions (
        document   text COLLATE \"C\" NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        version    bigint NOT NULL,
        tenant     text COLLATE \"C\" NOT NULL,
        name       text NOT NULL,
        title      text,
        uri        text COLLATE \"C\",
        media_type text NOT NULL,
        blob       text COLLATE \"C\" NOT NULL,
        bytes      bigint NOT NULL,
        request    text COLLATE \"C\",
        doc_hash   text,
        encoding   text,
        warnings   text,
        flags      text,
        pages      bigint,
        chunks     bigint,
        released   boolean NOT NULL DEFAULT false,
        created_at bigint NOT NULL,
        PRIMARY KEY (document, version)
    );
    CREATE INDEX versions_by_blob ON versions (tenant, blob);
    CREATE UNIQUE INDEX versions_by_request ON versions (tenant, request) WHERE request IS NOT NULL;

    -- lease: until when somebody is at it; fence: under which. not_before: when it is tried again.
    CREATE TABLE jobs (
        position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id         text COLLATE \"C\" NOT NULL UNIQUE,
        tenant     text COLLATE \"C\" NOT NULL,
        kind       text NOT NULL,
        collection text COLLATE \"C\" NOT NULL,
        document   text COLLATE \"C\",
        version    bigint,
        state      text NOT NULL,
        stage      text,
        done       bigint NOT NULL DEFAULT 0,
        total      bigint NOT NULL DEFAULT 0,
        attempts   bigint NOT NULL DEFAULT 0,
        lease      bigint NOT NULL DEFAULT 0,
        fence      bigint NOT NULL DEFAULT 0,
        not_before bigint NOT NULL DEFAULT 0,
        cancelling boolean NOT NULL DEFAULT false,
        code       text,
        reason     text,
        revision   bigint NOT NULL DEFAULT 1,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL
    );
    CREATE INDEX jobs_in_order ON jobs (tenant, position);
    CREATE INDEX jobs_of_document ON jobs (document, position);
    CREATE INDEX jobs_waiting ON jobs (position) WHERE state = 'queued';
    CREATE INDEX jobs_running ON jobs (position) WHERE state = 'running';
    CREATE INDEX jobs_ended ON jobs (updated_at) WHERE state IN ('done', 'failed', 'cancelled');
",
    1,
), (
    "
    -- What tickets are sealed with at all gateways.
    CREATE TABLE ticket_key (id integer PRIMARY KEY CHECK (id = 1), key bytea NOT NULL);
",
    1,
), (
    "
    -- file: the name under which the bytes lie, where that is not the hash. Its names are compared as bytes.
    ALTER TABLE versions ADD COLUMN file text COLLATE \"C\";
",
    1,
), (
    "
    -- tools: what was called for an answer, and what came of it.
    ALTER TABLE messages ADD COLUMN tools text;
",
    1,
), (
    "
    -- version, variant: of the assistant that the answer is for.
    ALTER TABLE messages ADD COLUMN version text, ADD COLUMN variant text;
",
    1,
), (
    "
    -- Calls that wait to be allowed are found without looking at all answers.
    CREATE INDEX messages_awaiting ON messages (session_id) WHERE status = 'awaiting_approval';
",
    1,
), (
    "
    -- Files that tools have made, in their order. owner: of the session, so that nobody else's is found.
    CREATE TABLE artifacts (
        position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id         text COLLATE \"C\" NOT NULL UNIQUE,
        session_id text COLLATE \"C\" NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        owner      text COLLATE \"C\",
        kind       text NOT NULL,
        title      text NOT NULL,
        media      text NOT NULL,
        content    bytea NOT NULL,
        created_at bigint NOT NULL
    );
    ALTER TABLE artifacts ALTER COLUMN content SET STORAGE EXTERNAL; -- Most of what is in it is compressed already.
    CREATE INDEX artifacts_of_session ON artifacts (session_id, position);
    CREATE INDEX artifacts_of_owner ON artifacts (owner, position) WHERE owner IS NOT NULL;
    CREATE INDEX artifacts_by_age ON artifacts (created_at);
",
    1,
), (
    "
    -- temporary: nothing told elsewhere is known in it, and nothing of it is remembered.
    ALTER TABLE sessions ADD COLUMN temporary boolean NOT NULL DEFAULT false;

    -- What users have told assistants, in the order in which it was kept. owner: '' for nobody in particular.
    -- ended_by: what holds in its place. words: of what was said.
    CREATE TABLE memories (
        position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id         text COLLATE \"C\" NOT NULL UNIQUE,
        owner      text COLLATE \"C\" NOT NULL,
        assistant  text COLLATE \"C\" NOT NULL,
        kind       text NOT NULL,
        attribute  bytea,
        text       bytea NOT NULL,
        origin     text NOT NULL,
        session_id text COLLATE \"C\",
        message    text COLLATE \"C\",
        said_at    bigint NOT NULL,
        ended_at   bigint,
        ended_by   text COLLATE \"C\",
        expires_at bigint,
        words      bytea NOT NULL,
        UNIQUE (owner, assistant, id)
    );
    CREATE INDEX memories_of_notebook ON memories (owner, assistant, kind, position);
    CREATE INDEX memories_of_owner ON memories (owner, position);
    CREATE INDEX memories_of_session ON memories (session_id) WHERE session_id IS NOT NULL;
    CREATE INDEX memories_ended ON memories (ended_by) WHERE ended_by IS NOT NULL;
    CREATE INDEX memories_by_expiry ON memories (expires_at) WHERE expires_at IS NOT NULL;

    -- What episodes are found by. model: that made the vector.
    CREATE TABLE memory_traces (
        owner      text COLLATE \"C\" NOT NULL,
        assistant  text COLLATE \"C\" NOT NULL,
        id         text COLLATE \"C\" NOT NULL,
        session_id text COLLATE \"C\",
        said_at    bigint NOT NULL,
        expires_at bigint,
        words      bytea NOT NULL,
        model      text COLLATE \"C\",
        vector     bytea,
        PRIMARY KEY (owner, assistant, id),
        FOREIGN KEY (owner, assistant, id) REFERENCES memories (owner, assistant, id) ON DELETE CASCADE
    );
    ALTER TABLE memory_traces ALTER COLUMN vector SET STORAGE EXTERNAL; -- Numbers like these cannot be compressed.
    CREATE INDEX memory_traces_by_model ON memory_traces (model, said_at);

    -- What is not to be remembered again when it was said before. assistant: '' for all. words: NULL for all words.
    CREATE TABLE memory_forgotten (
        position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        owner      text COLLATE \"C\" NOT NULL,
        assistant  text COLLATE \"C\" NOT NULL,
        at         bigint NOT NULL,
        words      bytea,
        session_id text COLLATE \"C\",
        message    text COLLATE \"C\"
    );
    CREATE INDEX memory_forgotten_of_notebook ON memory_forgotten (owner, assistant, position);

    CREATE TABLE memory_settings (owner text COLLATE \"C\" PRIMARY KEY, remembers boolean NOT NULL);
",
    1,
), (
    "
    -- title: what it is called; NULL before its first question, and where an older version has stored that.
    -- title_folded: as it is looked for, without capital letters.
    ALTER TABLE sessions ADD COLUMN title text, ADD COLUMN title_folded text;
",
    1,
)];

/// Where it is written which steps were taken. Whoever makes it first makes it for all.
const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS layout (id integer PRIMARY KEY CHECK (id = 1), version bigint NOT NULL, oldest bigint NOT NULL);
    INSERT INTO layout (id, version, oldest) VALUES (1, 0, 0) ON CONFLICT DO NOTHING";

/// Brings the layout up to date. Gateways that start together do so one after the other.
///
/// # Errors
/// [`StoreError::Unavailable`], also when a newer version of the program has changed the layout in a way that this one
/// cannot live with.
pub(super) async fn migrate(link: &Arc<Link>) -> Result<(), StoreError> {
    refuse_forgetful(link).await?;
    let said = |error: tokio_postgres::Error| StoreError::Unavailable(described(&error));
    let mut made = link.client.batch_execute(LAYOUT).await;
    if made.is_err() {
        made = link.client.batch_execute(LAYOUT).await; // Somebody else made it at the same moment.
    }
    made.map_err(said)?;
    loop {
        link.client.batch_execute("BEGIN").await.map_err(said)?;
        let lock = "SELECT version, oldest FROM layout WHERE id = 1 FOR UPDATE";
        let row = link.client.query_typed_one(lock, &[]).await.map_err(said)?;
        let (version, oldest): (i64, i64) = (row.get(0), row.get(1));
        refuse_newer(version, oldest)?;
        let Some((step, needs)) = usize::try_from(version).ok().and_then(|version| STEPS.get(version)) else {
            return link.client.batch_execute("COMMIT").await.map_err(said);
        };
        link.client.batch_execute(step).await.map_err(said)?;
        let next = "UPDATE layout SET version = version + 1, oldest = greatest(oldest, $1) WHERE id = 1";
        link.client.execute_typed(next, &[(needs, Type::INT8)]).await.map_err(said)?;
        link.client.batch_execute("COMMIT").await.map_err(said)?;
        info!(version = version + 1, "database layout brought up to date");
    }
}

/// Whether [`migrate`] would take the database as it is, and what it has noted of where the documents lie.
///
/// # Errors
/// As [`migrate`].
pub(super) async fn inspect(link: &Link) -> Result<Option<String>, StoreError> {
    refuse_forgetful(link).await?;
    let said = |error: tokio_postgres::Error| StoreError::Unavailable(described(&error));
    let made = link.client.query_typed_one("SELECT to_regclass('layout') IS NOT NULL", &[]).await.map_err(said)?;
    if !made.get::<_, bool>(0) {
        return Ok(None);
    }
    let row =
        link.client.query_typed_one("SELECT version, oldest FROM layout WHERE id = 1", &[]).await.map_err(said)?;
    refuse_newer(row.get(0), row.get(1))?;
    if row.get::<_, i64>(0) < 2 {
        return Ok(None); // Documents have been in the database since the second layout.
    }
    Ok(link.client.query_typed_one("SELECT place FROM work WHERE id = 1", &[]).await.map_err(said)?.get(0))
}

fn refuse_newer(version: i64, oldest: i64) -> Result<(), StoreError> {
    let known = STEPS.len() as i64;
    if oldest <= known {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!(
        "its layout has version {version} and needs a program that knows {oldest}; this one knows {known}"
    )))
}

/// An acknowledgement means that what was said is on the disk: a server that is told not to see to that is of no use.
async fn refuse_forgetful(link: &Link) -> Result<(), StoreError> {
    let shown = async |setting: &str| -> Result<String, StoreError> {
        let row = link.client.query_typed_one(&format!("SELECT current_setting('{setting}')"), &[]).await;
        Ok(row.map_err(|error| StoreError::Unavailable(described(&error)))?.get(0))
    };
    if shown("fsync").await? == "off" || shown("synchronous_commit").await? == "off" {
        return Err(unavailable("it forgets what it has acknowledged: fsync or synchronous_commit is off"));
    }
    let encoding = shown("server_encoding").await?;
    if encoding != "UTF8" {
        return Err(StoreError::Unavailable(format!(
            "its encoding is {encoding}: make a database with ENCODING 'UTF8'"
        )));
    }
    Ok(())
}

/// Writes something that nobody reads: the only proof that writing works is to write.
pub(super) async fn probe(link: Arc<Link>) -> Result<(), Failure> {
    link.client.execute_typed("UPDATE probe SET count = count + 1 WHERE id = 1", &[]).await?;
    Ok(())
}
