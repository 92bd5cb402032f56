-- Released: never edit this file, add the next one. Events of foreign producers (P4).

-- What was taken, by what CloudEvents knows it by; `at` is when that was decided.
CREATE TABLE inbox (
    source TEXT    NOT NULL,
    id     TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX inbox_at ON inbox (at);
