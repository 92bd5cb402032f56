-- Released: never edit this file, add the next one. Times are microseconds since 1970, UTC.

-- Whose store it is. One row, written by the first registration.
CREATE TABLE service (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    name   TEXT    NOT NULL,
    lanes  INTEGER NOT NULL,
    shards INTEGER NOT NULL
) STRICT;

-- The row id is the order of appends.
CREATE TABLE events (
    number     INTEGER PRIMARY KEY,
    stream     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    id         BLOB    NOT NULL,
    event_type TEXT    NOT NULL,
    payload    BLOB    NOT NULL,
    saga       BLOB    NOT NULL,
    causation  TEXT    NOT NULL,
    time       INTEGER NOT NULL,
    trace      TEXT,
    -- Set together, for public events.
    lane       INTEGER,
    lane_seq   INTEGER,
    key        TEXT,
    UNIQUE (stream, version)
) STRICT;

CREATE UNIQUE INDEX events_lane ON events (lane, lane_seq) WHERE lane IS NOT NULL;

-- The last number given out in each lane (P5).
CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY,
    head INTEGER NOT NULL
) STRICT;

-- How far other services' lanes were applied, and who may go on (P2). `consumes` is a JSON array.
CREATE TABLE positions (
    topic       TEXT    NOT NULL,
    lane        INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    last_seq    INTEGER NOT NULL,
    last_id     BLOB,
    next_offset INTEGER NOT NULL,
    start       TEXT    NOT NULL CHECK (start IN ('first', 'retained')),
    consumes    TEXT    NOT NULL,
    PRIMARY KEY (topic, lane)
) STRICT, WITHOUT ROWID;

-- What appends are known by (P17). `first_in_lane` is a JSON array of [lane, number] for the cause of
-- an append; `answer` is set for a command with an answer; a command's append may have both.
CREATE TABLE causes (
    id            BLOB    PRIMARY KEY,
    at            INTEGER NOT NULL,
    first_in_lane TEXT,
    answer        BLOB
) STRICT, WITHOUT ROWID;

CREATE INDEX causes_at ON causes (at);

-- Messages that wait for a retry, behind another, or for a person (P11, P12).
CREATE TABLE held (
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
    state      TEXT    NOT NULL CHECK (state IN ('parked', 'waiting', 'dead')),
    attempts   INTEGER NOT NULL,
    held_at    INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    PRIMARY KEY (topic, lane, id)
) STRICT;

CREATE INDEX held_key ON held (topic, lane, key, seq, log_offset, id);
CREATE INDEX held_state ON held (state, held_at);

-- States to start reads from; one for each shape that is in use.
CREATE TABLE snapshots (
    stream  TEXT    NOT NULL,
    shape   INTEGER NOT NULL,
    version INTEGER NOT NULL,
    state   BLOB    NOT NULL,
    PRIMARY KEY (stream, shape)
) STRICT;

-- Numbers that had expired when a lane was first read (P3).
CREATE TABLE gaps (
    topic TEXT    NOT NULL,
    lane  INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    PRIMARY KEY (topic, lane, first, last)
) STRICT, WITHOUT ROWID;

-- How far each lane was published before retention emptied its partition (P6).
CREATE TABLE floors (
    lane       INTEGER PRIMARY KEY,
    lane_seq   INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,
    topic_id   TEXT    NOT NULL
) STRICT;

-- Kept when it is given back: its token must not start again (P9).
CREATE TABLE leases (
    name    TEXT    PRIMARY KEY,
    holder  TEXT    NOT NULL,
    token   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
