-- Released: never edit this file, add the next one. Deadlines and effects (P13, P14).

-- What is to be done at a time. `begun` and `outcome` are of effects. `leased_until` is by SQLite's clock
-- and keeps other claims away; the token says who may end the item.
CREATE TABLE agenda (
    id           BLOB    PRIMARY KEY,
    kind         TEXT    NOT NULL CHECK (kind IN ('deadline', 'effect')),
    name         TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    saga         BLOB    NOT NULL,
    causation    TEXT    NOT NULL,
    trace        TEXT,
    payload      BLOB    NOT NULL,
    set_at       INTEGER NOT NULL,
    due          INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'dead')),
    attempts     INTEGER NOT NULL,
    begun        INTEGER NOT NULL,
    outcome      BLOB,
    reason       TEXT    NOT NULL,
    token        BLOB    NOT NULL,
    leased_until INTEGER
) STRICT;

-- A claim reads one range of this for each name: no other name's backlog stands in its way.
CREATE INDEX agenda_due ON agenda (kind, name, due, id) WHERE state = 'pending';
-- For people.
CREATE INDEX agenda_dead ON agenda (due, id) WHERE state = 'dead';
CREATE INDEX agenda_saga ON agenda (saga);
