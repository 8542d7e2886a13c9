//! How the layout of the file came to be.

/// One step per version of the layout; step `n` leads from version `n` to `n + 1`, and `PRAGMA user_version`
/// says how many were taken. Steps are only ever added: files of every age are out there.
pub(in crate::store::sqlite) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE sessions (
        id            TEXT PRIMARY KEY,
        assistant     TEXT NOT NULL,
        metadata      TEXT,
        created_at    INTEGER NOT NULL,
        updated_at    INTEGER NOT NULL,
        message_count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sessions_by_age ON sessions (created_at DESC, id);
    CREATE INDEX sessions_by_use ON sessions (updated_at);

    -- position: the order of a conversation. Rising, because rows are only added at the end.
    CREATE TABLE messages (
        position   INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        id         TEXT NOT NULL,
        role       TEXT NOT NULL,
        text       TEXT NOT NULL,
        status     TEXT NOT NULL,
        run        TEXT,
        model      TEXT,
        citations  TEXT,
        sources    TEXT,
        usage      TEXT,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX messages_by_id ON messages (session_id, id);
    CREATE INDEX messages_in_order ON messages (session_id, position);
    CREATE INDEX messages_pending ON messages (position) WHERE status = 'pending';

    CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL) STRICT;
    INSERT INTO probe (id, count) VALUES (1, 0);
",
    "
    -- question: of an answer, what it answers. replaced: no part of the conversation any more.
    ALTER TABLE messages ADD COLUMN question TEXT;
    ALTER TABLE messages ADD COLUMN replaces TEXT;
    ALTER TABLE messages ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN feedback TEXT;
    UPDATE messages SET question = (
        SELECT earlier.id FROM messages AS earlier
        WHERE earlier.session_id = messages.session_id AND earlier.position < messages.position
        ORDER BY earlier.position DESC LIMIT 1
    ) WHERE role = 'assistant';
    CREATE INDEX messages_of_conversation ON messages (session_id, position) WHERE replaced = 0;
",
    "
    -- Sessions made before have none: they belong to nobody in particular. Listing is by owner from now on.
    ALTER TABLE sessions ADD COLUMN owner TEXT;
    CREATE INDEX sessions_by_owner ON sessions (owner, created_at DESC, id);
    DROP INDEX sessions_by_age;
",
    "
    -- day: counted from 1970. Only the newest is of use.
    CREATE TABLE spending (
        day     INTEGER NOT NULL,
        account TEXT NOT NULL,
        tokens  INTEGER NOT NULL,
        PRIMARY KEY (day, account)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- What was added to an answer that is being written: behind its first `at` bytes stands `text` now. In the order of
    -- `id`, and rising within an answer, because its pieces go all at once.
    CREATE TABLE pieces (
        id     INTEGER PRIMARY KEY,
        answer INTEGER NOT NULL REFERENCES messages (position) ON DELETE CASCADE,
        at     INTEGER NOT NULL,
        text   TEXT NOT NULL
    ) STRICT;
    CREATE INDEX pieces_of_answer ON pieces (answer);
",
    "
    -- unerased: since when bytes of something deleted may be left; 0: they are to go at once.
    -- Whose row it is stands in every one of these. What is deleted keeps its row until the index has let go of it.
    CREATE TABLE collections (
        tenant     TEXT NOT NULL,
        name       TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        deleted_at INTEGER,
        unerased   INTEGER,
        PRIMARY KEY (tenant, name)
    ) STRICT, WITHOUT ROWID;

    -- position: the order in which they came.
    CREATE TABLE documents (
        position        INTEGER PRIMARY KEY,
        id              TEXT NOT NULL UNIQUE,
        tenant          TEXT NOT NULL,
        collection      TEXT NOT NULL,
        key             TEXT NOT NULL,
        title           TEXT NOT NULL,
        version         INTEGER NOT NULL,
        indexed_version INTEGER,
        state           TEXT NOT NULL,
        code            TEXT,
        reason          TEXT,
        metadata        TEXT,
        created_at      INTEGER NOT NULL,
        updated_at      INTEGER NOT NULL,
        deleted_at      INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX documents_by_key ON documents (tenant, collection, key) WHERE deleted_at IS NULL;
    CREATE INDEX documents_in_order ON documents (tenant, position) WHERE deleted_at IS NULL;
    CREATE INDEX documents_deleted ON documents (position) WHERE deleted_at IS NOT NULL;

    -- name, title, uri: as they were given. doc_hash to chunks: what indexing it brought to light. released: by an admin.
    CREATE TABLE versions (
        document   TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        version    INTEGER NOT NULL,
        tenant     TEXT NOT NULL,
        name       TEXT NOT NULL,
        title      TEXT,
        uri        TEXT,
        media_type TEXT NOT NULL,
        blob       TEXT NOT NULL,
        bytes      INTEGER NOT NULL,
        request    TEXT,
        doc_hash   TEXT,
        encoding   TEXT,
        warnings   TEXT,
        flags      TEXT,
        pages      INTEGER,
        chunks     INTEGER,
        released   INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (document, version)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX versions_by_blob ON versions (tenant, blob);
    CREATE UNIQUE INDEX versions_by_request ON versions (tenant, request) WHERE request IS NOT NULL;

    -- lease: until when somebody is at it. not_before: when it is tried again.
    CREATE TABLE jobs (
        position   INTEGER PRIMARY KEY,
        id         TEXT NOT NULL UNIQUE,
        tenant     TEXT NOT NULL,
        kind       TEXT NOT NULL,
        collection TEXT NOT NULL,
        document   TEXT,
        version    INTEGER,
        state      TEXT NOT NULL,
        stage      TEXT,
        done       INTEGER NOT NULL DEFAULT 0,
        total      INTEGER NOT NULL DEFAULT 0,
        attempts   INTEGER NOT NULL DEFAULT 0,
        lease      INTEGER NOT NULL DEFAULT 0,
        not_before INTEGER NOT NULL DEFAULT 0,
        cancelling INTEGER NOT NULL DEFAULT 0,
        code       TEXT,
        reason     TEXT,
        revision   INTEGER NOT NULL DEFAULT 1,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX jobs_in_order ON jobs (tenant, position);
    CREATE INDEX jobs_of_document ON jobs (document, position);
    CREATE INDEX jobs_waiting ON jobs (position) WHERE state = 'queued';
    CREATE INDEX jobs_running ON jobs (position) WHERE state = 'running';
    CREATE INDEX jobs_ended ON jobs (updated_at) WHERE state IN ('done', 'failed', 'cancelled');
",
    "
    -- hash: of the whole key, which is shown once and kept nowhere.
    CREATE TABLE api_keys (
        id         TEXT PRIMARY KEY,
        name       TEXT NOT NULL,
        hash       BLOB NOT NULL,
        tenant     TEXT NOT NULL,
        user       TEXT NOT NULL,
        scopes     TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        used_at    INTEGER,
        revoked_at INTEGER
    ) STRICT, WITHOUT ROWID;

    -- user: empty for all of the tenant. before: tokens made earlier are not good any more.
    CREATE TABLE revocations (
        tenant TEXT NOT NULL,
        user   TEXT NOT NULL,
        before INTEGER NOT NULL,
        PRIMARY KEY (tenant, user)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX revocations_by_age ON revocations (before);
",
    "
    -- reader: a tenant that may read the collection of another one.
    CREATE TABLE readers (
        tenant     TEXT NOT NULL,
        collection TEXT NOT NULL,
        reader     TEXT NOT NULL,
        PRIMARY KEY (reader, tenant, collection)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX readers_of_collection ON readers (tenant, collection, reader);
    -- The readers of a collection look through all of it.
    CREATE INDEX documents_of_collection ON documents (tenant, collection, position) WHERE deleted_at IS NULL;
",
    "
    -- number: entries are only ever added, and leave by their age.
    CREATE TABLE audit (
        number  INTEGER PRIMARY KEY AUTOINCREMENT,
        at      INTEGER NOT NULL,
        tenant  TEXT NOT NULL,
        user    TEXT NOT NULL,
        action  TEXT NOT NULL,
        target  TEXT NOT NULL,
        address TEXT
    ) STRICT;
    CREATE INDEX audit_of_tenant ON audit (tenant, number);
    CREATE INDEX audit_by_age ON audit (at);
",
    "
    -- To count what was thought of answers without looking at all of them.
    CREATE INDEX messages_rated ON messages (created_at) WHERE feedback IS NOT NULL;
",
    "
    -- Single tokens that were taken back, by a hash; until: when they are over anyway.
    CREATE TABLE revoked_tokens (
        id     BLOB PRIMARY KEY,
        tenant TEXT NOT NULL,
        user   TEXT NOT NULL,
        until  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX revoked_tokens_of_user ON revoked_tokens (tenant, user);
    CREATE INDEX revoked_tokens_by_age ON revoked_tokens (until);
",
    "
    -- file: the name under which the bytes lie, where that is not the hash.
    ALTER TABLE versions ADD COLUMN file TEXT;
",
    "
    -- tools: what was called for an answer, and what came of it.
    ALTER TABLE messages ADD COLUMN tools TEXT;
",
    "
    -- version, variant: of the assistant that the answer is for.
    ALTER TABLE messages ADD COLUMN version TEXT;
    ALTER TABLE messages ADD COLUMN variant TEXT;
",
    "
    -- Calls that wait to be allowed are found without looking at all answers.
    CREATE INDEX messages_awaiting ON messages (session_id) WHERE status = 'awaiting_approval';
",
    "
    -- Files that tools have made, in their order. owner: of the session, so that nobody else's is found.
    CREATE TABLE artifacts (
        position   INTEGER PRIMARY KEY,
        id         TEXT NOT NULL UNIQUE,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        owner      TEXT,
        kind       TEXT NOT NULL,
        title      TEXT NOT NULL,
        media      TEXT NOT NULL,
        content    BLOB NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX artifacts_of_session ON artifacts (session_id, position);
    CREATE INDEX artifacts_of_owner ON artifacts (owner, position) WHERE owner IS NOT NULL;
    CREATE INDEX artifacts_by_age ON artifacts (created_at);
",
    "
    -- temporary: nothing told elsewhere is known in it, and nothing of it is remembered.
    ALTER TABLE sessions ADD COLUMN temporary INTEGER NOT NULL DEFAULT 0;

    -- What users have told assistants, in the order in which it was kept. owner: '' for nobody in particular.
    -- ended_by: what holds in its place. words: of what was said.
    CREATE TABLE memories (
        position   INTEGER PRIMARY KEY AUTOINCREMENT,
        id         TEXT NOT NULL UNIQUE,
        owner      TEXT NOT NULL,
        assistant  TEXT NOT NULL,
        kind       TEXT NOT NULL,
        attribute  TEXT,
        text       TEXT NOT NULL,
        origin     TEXT NOT NULL,
        session_id TEXT,
        message    TEXT,
        said_at    INTEGER NOT NULL,
        ended_at   INTEGER,
        ended_by   TEXT,
        expires_at INTEGER,
        words      BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX memories_by_key ON memories (owner, assistant, id);
    CREATE INDEX memories_of_notebook ON memories (owner, assistant, kind, position);
    CREATE INDEX memories_of_owner ON memories (owner, position);
    CREATE INDEX memories_of_session ON memories (session_id) WHERE session_id IS NOT NULL;
    CREATE INDEX memories_ended ON memories (ended_by) WHERE ended_by IS NOT NULL;
    CREATE INDEX memories_by_expiry ON memories (expires_at) WHERE expires_at IS NOT NULL;

    -- What episodes are found by; those of a notebook lie side by side. model: that made the vector.
    CREATE TABLE memory_traces (
        owner      TEXT NOT NULL,
        assistant  TEXT NOT NULL,
        id         TEXT NOT NULL,
        session_id TEXT,
        said_at    INTEGER NOT NULL,
        expires_at INTEGER,
        words      BLOB NOT NULL,
        model      TEXT,
        vector     BLOB,
        PRIMARY KEY (owner, assistant, id),
        FOREIGN KEY (owner, assistant, id) REFERENCES memories (owner, assistant, id) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX memory_traces_by_model ON memory_traces (model, said_at);

    -- What is not to be remembered again when it was said before. assistant: '' for all. words: NULL for all words.
    CREATE TABLE memory_forgotten (
        position   INTEGER PRIMARY KEY,
        owner      TEXT NOT NULL,
        assistant  TEXT NOT NULL,
        at         INTEGER NOT NULL,
        words      BLOB,
        session_id TEXT,
        message    TEXT
    ) STRICT;
    CREATE INDEX memory_forgotten_of_notebook ON memory_forgotten (owner, assistant, position);

    CREATE TABLE memory_settings (owner TEXT PRIMARY KEY, remembers INTEGER NOT NULL) STRICT, WITHOUT ROWID;
",
    "
    -- title: what it is called; NULL before its first question, and where an older version has stored that.
    -- title_folded: as it is looked for, without capital letters.
    ALTER TABLE sessions ADD COLUMN title TEXT;
    ALTER TABLE sessions ADD COLUMN title_folded TEXT;
",
];
