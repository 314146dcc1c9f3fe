-- What people decided about single scans. Of one scan in one collection a command's decision goes before a sidecar's; a
-- collection's own `scene` comes last. Which decision was in force when is told by the events.

CREATE TABLE decision (
    source_id  INTEGER NOT NULL REFERENCES source (id),
    collection TEXT NOT NULL,
    scene      TEXT NOT NULL CHECK (scene IN ('portrait', 'architecture', 'other', 'skip')),
    decided_by TEXT NOT NULL,
    why        TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    PRIMARY KEY (source_id, collection)
) STRICT, WITHOUT ROWID;

-- Sidecars as they were read last, by the name of the scan beside which they lie: a sidecar may be there before its scan, and
-- goes with the name, not with the bytes.
CREATE TABLE sidecar (
    collection TEXT NOT NULL,
    relative   BLOB NOT NULL,
    -- 'broken': it says nothing that can be understood, and `why` is what is wrong with it.
    scene      TEXT NOT NULL CHECK (scene IN ('portrait', 'architecture', 'other', 'skip', 'broken')),
    decided_by TEXT NOT NULL,
    why        TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    device     INTEGER NOT NULL,
    inode      INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL,
    ctime_ns   INTEGER NOT NULL,
    PRIMARY KEY (collection, relative)
) STRICT, WITHOUT ROWID;

-- The decision that holds for each scan of each collection; where the same bytes lie beside several sidecars, that of the first
-- name in byte order.
CREATE VIEW decided AS
    SELECT source_id, collection, scene, decided_by, why, decided_at, 'command' AS origin FROM decision
    UNION ALL
    SELECT s.source_id, s.collection, c.scene, c.decided_by, c.why, c.decided_at, 'sidecar' AS origin
    FROM sighting s JOIN sidecar c ON c.collection = s.collection AND c.relative = s.relative
    WHERE s.current = 1
        AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.source_id = s.source_id AND d.collection = s.collection)
        AND NOT EXISTS (
            SELECT 1 FROM sighting o JOIN sidecar e ON e.collection = o.collection AND e.relative = o.relative
            WHERE o.source_id = s.source_id AND o.collection = s.collection AND o.current = 1 AND o.relative < s.relative);
