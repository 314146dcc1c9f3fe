-- Derivatives of a completed job beside the one that its row names: a collection may ask for several of every scan.
CREATE TABLE further (
    job_id   INTEGER NOT NULL REFERENCES job (id),
    -- Which of the collection's outputs, counted from 1 for the second.
    place    INTEGER NOT NULL CHECK (place >= 1),
    -- The output's root and the path below it: bytes, as names on disk are.
    root     BLOB NOT NULL,
    relative BLOB NOT NULL,
    digest   BLOB NOT NULL CHECK (length(digest) = 32),
    record   TEXT NOT NULL,
    PRIMARY KEY (job_id, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX further_digest ON further (digest);

CREATE TRIGGER further_is_kept BEFORE DELETE ON further
BEGIN
    SELECT RAISE(ABORT, 'derivatives are not forgotten');
END;
