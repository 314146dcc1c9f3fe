-- The ledger. Times are milliseconds since 1970-01-01T00:00:00Z; digests are the 32 bytes of a SHA-256; names found on
-- disk are BLOBs, because a file name is bytes and need not be text.

CREATE TABLE root (
    collection TEXT PRIMARY KEY,
    path       BLOB NOT NULL,
    -- A root is known by device and inode: an empty mount point under the same path is another root.
    device     INTEGER,
    inode      INTEGER,
    state      TEXT NOT NULL CHECK (state IN ('unseen', 'online', 'offline')),
    reason     TEXT,
    mode       TEXT,
    waiting    INTEGER NOT NULL DEFAULT 0,
    -- A sample of the files that wait, as JSON, for people.
    waiting_sample TEXT NOT NULL DEFAULT '[]',
    seen_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE source (
    id         INTEGER PRIMARY KEY,
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    first_seen INTEGER NOT NULL
) STRICT;

CREATE TABLE sighting (
    collection TEXT NOT NULL,
    relative   BLOB NOT NULL,
    source_id  INTEGER NOT NULL REFERENCES source (id),
    device     INTEGER NOT NULL,
    inode      INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL,
    ctime_ns   INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    -- 0: these bytes lay under this name once; others do now.
    current    INTEGER NOT NULL CHECK (current IN (0, 1)),
    PRIMARY KEY (collection, relative, source_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX sighting_current ON sighting (collection, relative) WHERE current = 1;
CREATE INDEX sighting_source ON sighting (source_id);

CREATE TABLE recipe (
    id         INTEGER PRIMARY KEY,
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    body       TEXT NOT NULL,
    first_used INTEGER NOT NULL
) STRICT;

CREATE TABLE job (
    id          INTEGER PRIMARY KEY,
    source_id   INTEGER NOT NULL REFERENCES source (id),
    recipe_id   INTEGER NOT NULL REFERENCES recipe (id),
    -- Where the scan lay when it was recorded: decides the place of the derivative.
    collection  TEXT NOT NULL,
    relative    BLOB NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'running', 'completed', 'skipped', 'rejected', 'exhausted', 'cancelled')),
    -- The fence: every write of a claim names its number.
    claim_no    INTEGER NOT NULL DEFAULT 0,
    -- What was charged, ever; and how much of it an operator's retry has forgiven.
    failures    INTEGER NOT NULL DEFAULT 0,
    forgiven    INTEGER NOT NULL DEFAULT 0,
    not_before  INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    claimed_at  INTEGER,
    finished_at INTEGER,
    stage       TEXT,
    reason      TEXT,
    hint        TEXT,
    derivative  BLOB,
    derivative_digest BLOB CHECK (derivative_digest IS NULL OR length(derivative_digest) = 32),
    record      TEXT,
    -- Cancelled because its recipe is no longer configured; reinstated when it is again.
    superseded  INTEGER NOT NULL DEFAULT 0 CHECK (superseded IN (0, 1)),
    UNIQUE (source_id, recipe_id),
    CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'skipped', 'rejected', 'exhausted', 'cancelled'))),
    CHECK ((state = 'completed') = (derivative IS NOT NULL AND derivative_digest IS NOT NULL AND record IS NOT NULL)),
    CHECK (state NOT IN ('skipped', 'rejected', 'exhausted', 'cancelled') OR reason IS NOT NULL),
    CHECK (superseded = 0 OR state = 'cancelled'),
    CHECK (forgiven <= failures)
) STRICT;

-- The claimable, longest waiting first: a claim reads one entry however many jobs there are.
CREATE INDEX job_claimable ON job (not_before, id) WHERE state = 'pending';
CREATE INDEX job_running ON job (id) WHERE state = 'running';
CREATE INDEX job_state ON job (state);
CREATE INDEX job_derivative ON job (derivative_digest) WHERE derivative_digest IS NOT NULL;

CREATE TRIGGER job_counters_only_rise BEFORE UPDATE ON job
WHEN NEW.claim_no < OLD.claim_no OR NEW.failures < OLD.failures OR NEW.forgiven < OLD.forgiven
BEGIN
    SELECT RAISE(ABORT, 'claim_no, failures and forgiven only rise');
END;

CREATE TRIGGER job_is_kept BEFORE DELETE ON job
BEGIN
    SELECT RAISE(ABORT, 'jobs are not deleted');
END;

-- What happened, in order; never changed, never pruned.
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    job_id   INTEGER REFERENCES job (id),
    claim_no INTEGER,
    kind     TEXT NOT NULL,
    body     TEXT NOT NULL
) STRICT;

CREATE INDEX event_job ON event (job_id, seq);

CREATE TRIGGER event_is_not_changed BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER event_is_not_deleted BEFORE DELETE ON event
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

-- The daemon at work, for `status` in another process; the lock file, not this row, decides who it is.
CREATE TABLE daemon (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    pid     INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    command TEXT NOT NULL,
    -- The device report and the loaded models, as JSON, once known.
    device  TEXT,
    -- Why claiming has stopped, if it has.
    paused  TEXT
) STRICT;
