-- Released: never edit this file, add the next one. Dead letters and what persons rule on them (P11, P12).

-- A check cannot be changed: the table is made anew. `aside`: dead, and the later ones of its key pass.
CREATE TABLE held_anew (
    topic      TEXT    NOT NULL,
    lane       INTEGER NOT NULL,
    id         TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    log_offset INTEGER NOT NULL,
    event_type TEXT    NOT NULL,
    saga       TEXT,
    headers    BLOB    NOT NULL,
    payload    BLOB    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('parked', 'waiting', 'dead', 'aside')),
    attempts   INTEGER NOT NULL,
    held_at    INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    PRIMARY KEY (topic, lane, id)
) STRICT;

INSERT INTO held_anew SELECT * FROM held;
DROP TABLE held;
ALTER TABLE held_anew RENAME TO held;

CREATE INDEX held_key ON held (topic, lane, key, seq, log_offset, id);
CREATE INDEX held_state ON held (state, held_at);

-- Who has done what about which letter, when and why. Rows are added, and never changed or removed.
CREATE TABLE rulings (
    number     INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    who        TEXT    NOT NULL,
    action     TEXT    NOT NULL CHECK (action IN ('replay', 'skip', 'resolve', 'answer')),
    note       TEXT    NOT NULL,
    letter     TEXT    NOT NULL,
    event_type TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    saga       TEXT,
    reason     TEXT    NOT NULL
) STRICT;

CREATE INDEX rulings_saga ON rulings (saga, number);
