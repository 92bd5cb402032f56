-- Released: never edit this file, add the next one. Dead letters and what persons rule on them (P11, P12).

-- `aside`: dead, and the later ones of its key pass.
ALTER TABLE held
    DROP CONSTRAINT held_state_check,
    ADD CONSTRAINT held_state_check CHECK (state IN ('parked', 'waiting', 'dead', 'aside'));

-- Who has done what about which letter, when and why. Rows are added, and never changed or removed.
CREATE TABLE rulings (
    number     bigint PRIMARY KEY,
    at         bigint NOT NULL,
    who        text   NOT NULL,
    action     text   NOT NULL CHECK (action IN ('replay', 'skip', 'resolve', 'answer')),
    note       text   NOT NULL,
    letter     text   NOT NULL,
    event_type text   NOT NULL,
    key        text   NOT NULL,
    saga       text,
    reason     text   NOT NULL
);

CREATE INDEX rulings_saga ON rulings (saga, number);

-- The events of a saga from some time on, for people. There is no index for it: one by saga or by time would
-- cost every append a tenth and more. Whoever looks often may add one, and it is used. A generic plan would not
-- know that.
CREATE FUNCTION saga_events(p_saga uuid, p_since bigint, p_limit bigint)
RETURNS SETOF events LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_custom_plan SET enable_seqscan = on SET enable_bitmapscan = on AS $$
BEGIN
    RETURN QUERY
    SELECT e.* FROM events e WHERE e.saga = p_saga AND e.time >= p_since ORDER BY e.time, e.id LIMIT p_limit;
END $$;

-- Does what a person has ruled on a letter that is as it was read, and records it; null when the letter is
-- not as it was read. Rulings follow one another, so that whoever has seen a number has seen all before it.
-- A held message changes only under the lock of its lane's position (P11).
CREATE FUNCTION rule_on_letter(
    p_at bigint, p_who text, p_action text, p_note text, p_letter text, p_state text, p_attempts bigint,
    p_topic text, p_lane integer, p_id text,
    p_item uuid, p_token uuid, p_outcome bytea
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_type   text;
    v_key    text;
    v_saga   text;
    v_reason text;
    v_number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(20818, 3);
    IF p_item IS NULL THEN
        PERFORM FROM positions p WHERE p.topic = p_topic AND p.lane = p_lane FOR UPDATE;
        IF p_action = 'replay' THEN
            UPDATE held h SET state = 'parked', next_at = p_at
             WHERE h.topic = p_topic AND h.lane = p_lane AND h.id = p_id
               AND h.state = p_state AND h.attempts = p_attempts
            RETURNING h.event_type, h.key, h.saga, h.reason INTO v_type, v_key, v_saga, v_reason;
        ELSE
            DELETE FROM held h
             WHERE h.topic = p_topic AND h.lane = p_lane AND h.id = p_id
               AND h.state = p_state AND h.attempts = p_attempts
            RETURNING h.event_type, h.key, h.saga, h.reason INTO v_type, v_key, v_saga, v_reason;
        END IF;
    ELSIF p_action IN ('skip', 'resolve') THEN
        DELETE FROM agenda a
         WHERE a.id = p_item AND a.token = p_token AND a.state = p_state AND a.attempts = p_attempts
        RETURNING a.name, a.key, a.saga::text, a.reason INTO v_type, v_key, v_saga, v_reason;
    ELSE
        UPDATE agenda a
           SET state = 'pending', due = p_at, leased_until = NULL,
               outcome = coalesce(p_outcome, a.outcome)
         WHERE a.id = p_item AND a.token = p_token AND a.state = p_state AND a.attempts = p_attempts
        RETURNING a.name, a.key, a.saga::text, a.reason INTO v_type, v_key, v_saga, v_reason;
    END IF;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO rulings (number, at, who, action, note, letter, event_type, key, saga, reason)
    SELECT coalesce(max(r.number), 0) + 1, p_at, p_who, p_action, p_note, p_letter, v_type, v_key, v_saga,
           v_reason
      FROM rulings r
    RETURNING number INTO v_number;
    RETURN v_number;
END $$;

-- Takes lanes over, which come sorted; one row each, in that order. `missing` is set for a lane that is
-- refused. Held messages change only under the lock of their lane's position, which this takes first:
-- so both are of one moment (P11). The held arrays are the first messages of their keys; nothing waits
-- behind a dead message without a key, or one that was set aside.
CREATE OR REPLACE FUNCTION claim(
    p_topic text[], p_lane integer[], p_consumes text[], p_start text, p_held_max bigint,
    OUT missing text[], OUT epoch bigint, OUT last_seq bigint, OUT last_id uuid,
    OUT next_offset bigint, OUT start text, OUT held_key text[], OUT held_id text[],
    OUT held_state text[], OUT held_attempts bigint[], OUT held_next_at bigint[]
) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    v_n integer;
BEGIN
    FOR v_n IN 1 .. cardinality(p_topic) LOOP
        INSERT INTO positions AS p (topic, lane, epoch, last_seq, next_offset, start, consumes)
        VALUES (p_topic[v_n], p_lane[v_n], 0, 0, 0, p_start, '{}')
        ON CONFLICT ON CONSTRAINT positions_pkey DO NOTHING;
        SELECT array_agg(t ORDER BY t COLLATE "C") INTO missing
          FROM (SELECT p.consumes FROM positions p
                 WHERE p.topic = p_topic[v_n] AND p.lane = p_lane[v_n] FOR UPDATE) p,
               unnest(p.consumes) t
         WHERE t <> ALL (p_consumes);
        IF missing IS NULL THEN
            UPDATE positions p SET epoch = p.epoch + 1, consumes = p_consumes
             WHERE p.topic = p_topic[v_n] AND p.lane = p_lane[v_n]
            RETURNING p.epoch, p.last_seq, p.last_id, p.next_offset, p.start
                 INTO epoch, last_seq, last_id, next_offset, start;
            SELECT array_agg(h.key ORDER BY h.seq, h.log_offset, h.id),
                   array_agg(h.id ORDER BY h.seq, h.log_offset, h.id),
                   array_agg(h.state ORDER BY h.seq, h.log_offset, h.id),
                   array_agg(h.attempts ORDER BY h.seq, h.log_offset, h.id),
                   array_agg(h.next_at ORDER BY h.seq, h.log_offset, h.id)
              INTO held_key, held_id, held_state, held_attempts, held_next_at
              FROM (SELECT * FROM (
                        SELECT DISTINCT ON (f.key) f.* FROM held f
                         WHERE f.topic = p_topic[v_n] AND f.lane = p_lane[v_n]
                           AND f.state <> 'aside' AND NOT (f.key = '' AND f.state = 'dead')
                         ORDER BY f.key, f.seq, f.log_offset, f.id) f
                     ORDER BY f.seq, f.log_offset, f.id LIMIT p_held_max) h;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- As before, and rulings.
CREATE OR REPLACE FUNCTION grant_service_role(role name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    may text;
BEGIN
    FOREACH may IN ARRAY ARRAY[
        'USAGE ON SCHEMA ' || quote_ident(current_schema()),
        'SELECT ON schema_migrations',
        'SELECT, INSERT ON events, gaps, rulings',
        'SELECT, INSERT, UPDATE ON service, lanes, positions, snapshots, floors, leases',
        'SELECT, INSERT, DELETE ON causes, inbox',
        'SELECT, INSERT, UPDATE, DELETE ON held, agenda'
    ] LOOP
        EXECUTE format('GRANT %s TO %I', may, role);
    END LOOP;
END $$;

-- Services that were granted their role before go on without being granted it anew.
DO $$
DECLARE
    v_role name;
BEGIN
    FOR v_role IN
        SELECT r.rolname FROM pg_class c, aclexplode(c.relacl) a, pg_roles r
         WHERE c.oid = 'causes'::regclass AND r.oid = a.grantee AND a.grantee <> c.relowner
           AND a.privilege_type = 'DELETE'
    LOOP
        EXECUTE format('GRANT SELECT, INSERT ON rulings TO %I', v_role);
    END LOOP;
END $$;
