-- Released: never edit this file, add the next one. Times are microseconds since 1970, UTC, unless
-- their type says otherwise. Texts compare by their bytes: locks are taken in that order everywhere.

-- Whose store it is. One row, written by the first registration.
CREATE TABLE service (
    sole   integer PRIMARY KEY CHECK (sole = 1),
    name   text    NOT NULL,
    lanes  integer NOT NULL,
    shards integer NOT NULL
);

-- Fixed widths first. A third unique index costs 30 % of all appends: ids are unique by their making.
CREATE TABLE events (
    version    bigint NOT NULL,
    time       bigint NOT NULL,
    -- Set together, for public events.
    lane_seq   bigint,
    lane       integer,
    id         uuid   NOT NULL,
    saga       uuid   NOT NULL,
    stream     text   COLLATE "C" NOT NULL,
    event_type text   COLLATE "C" NOT NULL,
    causation  text   COLLATE "C" NOT NULL,
    key        text   COLLATE "C",
    trace      text   COLLATE "C",
    payload    bytea  NOT NULL,
    CONSTRAINT events_stream UNIQUE (stream, version)
);

CREATE UNIQUE INDEX events_lane ON events (lane, lane_seq) WHERE lane IS NOT NULL;

-- The last number given out in each lane (P5). Room in the pages keeps its updates off the index.
CREATE TABLE lanes (
    lane integer PRIMARY KEY,
    head bigint  NOT NULL
) WITH (fillfactor = 40);

-- How far other services' lanes were applied, and who may go on (P2).
CREATE TABLE positions (
    topic       text    COLLATE "C" NOT NULL,
    lane        integer NOT NULL,
    epoch       bigint  NOT NULL,
    last_seq    bigint  NOT NULL,
    last_id     uuid,
    next_offset bigint  NOT NULL,
    start       text    NOT NULL CHECK (start IN ('first', 'retained')),
    consumes    text[]  COLLATE "C" NOT NULL,
    PRIMARY KEY (topic, lane)
) WITH (fillfactor = 40);

-- What appends are known by (P17). The numbers are set for the cause of an append; `answer` is set for
-- a command with an answer; a command's append may have both.
CREATE TABLE causes (
    id       uuid    CONSTRAINT causes_id PRIMARY KEY,
    at       bigint  NOT NULL,
    in_lanes integer[],
    firsts   bigint[],
    answer   bytea
);

CREATE INDEX causes_at ON causes USING brin (at);

-- Messages that wait for a retry, behind another, or for a person (P11, P12).
CREATE TABLE held (
    topic      text    COLLATE "C" NOT NULL,
    lane       integer NOT NULL,
    id         text    COLLATE "C" NOT NULL,
    key        text    COLLATE "C" NOT NULL,
    seq        bigint  NOT NULL,
    log_offset bigint  NOT NULL,
    event_type text    NOT NULL,
    saga       text,
    headers    bytea   NOT NULL,
    payload    bytea   NOT NULL,
    state      text    NOT NULL CHECK (state IN ('parked', 'waiting', 'dead')),
    attempts   bigint  NOT NULL,
    held_at    bigint  NOT NULL,
    next_at    bigint  NOT NULL,
    reason     text    NOT NULL,
    PRIMARY KEY (topic, lane, id)
);

CREATE INDEX held_key ON held (topic, lane, key, seq, log_offset, id);
CREATE INDEX held_state ON held (state, held_at);

-- States to start reads from; one for each shape that is in use.
CREATE TABLE snapshots (
    stream  text   COLLATE "C" NOT NULL,
    shape   bigint NOT NULL,
    version bigint NOT NULL,
    state   bytea  NOT NULL,
    PRIMARY KEY (stream, shape)
);

-- Numbers that had expired when a lane was first read (P3).
CREATE TABLE gaps (
    topic text    COLLATE "C" NOT NULL,
    lane  integer NOT NULL,
    first bigint  NOT NULL,
    last  bigint  NOT NULL,
    PRIMARY KEY (topic, lane, first, last)
);

-- How far each lane was published before retention emptied its partition (P6).
CREATE TABLE floors (
    lane       integer PRIMARY KEY,
    lane_seq   bigint  NOT NULL,
    end_offset bigint  NOT NULL,
    topic_id   text    NOT NULL
);

-- Kept when it is given back: its token must not start again (P9). Expires by this server's clock.
CREATE TABLE leases (
    name    text        COLLATE "C" PRIMARY KEY,
    holder  text        NOT NULL,
    token   bigint      NOT NULL,
    expires timestamptz NOT NULL
);

-- What a service may do here: add events, never change or remove one.
CREATE FUNCTION grant_service_role(role name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    may text;
BEGIN
    FOREACH may IN ARRAY ARRAY[
        'USAGE ON SCHEMA ' || quote_ident(current_schema()),
        'SELECT ON schema_migrations',
        'SELECT, INSERT ON events, gaps',
        'SELECT, INSERT, UPDATE ON service, lanes, positions, snapshots, floors, leases',
        'SELECT, INSERT, DELETE ON causes',
        'SELECT, INSERT, UPDATE, DELETE ON held'
    ] LOOP
        EXECUTE format('GRANT %s TO %I', may, role);
    END LOOP;
END $$;
