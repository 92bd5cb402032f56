-- Released: never edit this file, add the next one. What an event follows in its lane (P8).

-- The lane's last event, and the one that the last append followed; null where nobody knows.
ALTER TABLE lanes ADD COLUMN last_id uuid, ADD COLUMN before_id uuid;
UPDATE lanes l SET last_id = (SELECT e.id FROM events e WHERE e.lane = l.lane AND e.lane_seq = l.head);

-- Everything that commits together (P1). Arrays of one kind have one length, or are null when there is
-- nothing of their kind, and come sorted by what they lock. A used cause shows by its primary key, in
-- the end; the client looks for it when an earlier check has failed. Gives for each lane, in the order of
-- `p_lane`, its first number and the id of the event before that; `p_lane_last` is the last of the new ones.
-- The events' table is asked by a look-up for each row: a join that was planned while it was empty may go
-- through the whole of it.
CREATE FUNCTION append(
    p_cause uuid, p_at bigint,
    p_answer_cause uuid[], p_answer bytea[],
    p_pos_topic text[], p_pos_lane integer[], p_pos_epoch bigint[], p_pos_from bigint[],
    p_pos_to bigint[], p_pos_id uuid[], p_pos_offset bigint[],
    p_lane integer[], p_lane_count bigint[], p_lane_last uuid[],
    p_slot integer[], p_slot_alone boolean[],
    p_head_stream text[], p_head_version bigint[],
    p_read_stream text[], p_read_version bigint[],
    p_event new_event[],
    p_snap_stream text[], p_snap_shape bigint[], p_snap_version bigint[], p_snap_state bytea[],
    p_gap_topic text[], p_gap_lane integer[], p_gap_first bigint[], p_gap_last bigint[],
    p_held_topic text[], p_held_lane integer[], p_held_id text[], p_held_change text[],
    p_held_attempts bigint[], p_held_new_attempts bigint[], p_held_state text[],
    p_held_next_at bigint[], p_held_reason text[], p_held_key text[], p_held_seq bigint[],
    p_held_offset bigint[], p_held_type text[], p_held_saga text[], p_held_headers bytea[],
    p_held_payload bytea[], p_held_at bigint[],
    OUT firsts bigint[], OUT follows uuid[]
) RETURNS record LANGUAGE plpgsql AS $$
DECLARE
    v_culprits bigint[];
    v_rows     bigint;
BEGIN
    IF p_cause IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared(cause_key(p_cause));
    END IF;

    IF cardinality(p_pos_topic) > 0 THEN
        UPDATE positions p
           SET last_seq = u.upto, next_offset = u.next_offset,
               last_id = CASE WHEN u.upto = u.since THEN p.last_id ELSE u.last_id END
          FROM unnest(p_pos_topic, p_pos_lane, p_pos_epoch, p_pos_from, p_pos_to, p_pos_id,
                      p_pos_offset) u(topic, lane, epoch, since, upto, last_id, next_offset)
         WHERE p.topic = u.topic AND p.lane = u.lane AND p.epoch = u.epoch AND p.last_seq = u.since;
        GET DIAGNOSTICS v_rows = ROW_COUNT;
        IF v_rows <> cardinality(p_pos_topic) THEN
            -- The culprits are those that this transaction has not written.
            SELECT array_agg(u.n) INTO v_culprits
              FROM unnest(p_pos_topic, p_pos_lane) WITH ORDINALITY u(topic, lane, n)
             WHERE NOT EXISTS (SELECT FROM positions p
                    WHERE p.topic = u.topic AND p.lane = u.lane
                      AND p.xmin = pg_current_xact_id()::xid);
            RAISE EXCEPTION 'a position is not as expected'
                USING ERRCODE = 'QD002', DETAIL = coalesce(v_culprits, '{}')::text;
        END IF;
    END IF;

    IF cardinality(p_held_topic) > 0 THEN
        PERFORM change_held(
            p_held_topic, p_held_lane, p_held_id, p_held_change, p_held_attempts,
            p_held_new_attempts, p_held_state, p_held_next_at, p_held_reason, p_held_key,
            p_held_seq, p_held_offset, p_held_type, p_held_saga, p_held_headers, p_held_payload,
            p_held_at);
    END IF;

    IF cardinality(p_lane) > 0 THEN
        WITH counted AS (
            UPDATE lanes l SET head = l.head + u.n, before_id = l.last_id, last_id = u.last_id
              FROM unnest(p_lane, p_lane_count, p_lane_last) u(lane, n, last_id)
             WHERE l.lane = u.lane
            RETURNING l.lane, l.head - u.n + 1 AS first, l.before_id)
        SELECT array_agg(c.first ORDER BY c.lane), array_agg(c.before_id ORDER BY c.lane)
          INTO firsts, follows FROM counted c;
        IF cardinality(firsts) IS DISTINCT FROM cardinality(p_lane) THEN
            RAISE EXCEPTION 'a lane is not there' USING ERRCODE = 'QD005';
        END IF;
    END IF;

    IF cardinality(p_slot) > 0 THEN
        PERFORM CASE WHEN u.alone THEN pg_advisory_xact_lock(20817, u.slot)
                     ELSE pg_advisory_xact_lock_shared(20817, u.slot) END
          FROM unnest(p_slot, p_slot_alone) u(slot, alone);
    END IF;
    -- A stream that is written must have its expected head: whether that is the last event, the
    -- unique index will say. One that is only read must end there.
    IF cardinality(p_head_stream) > 0 THEN
        SELECT count(*) INTO v_rows
          FROM unnest(p_head_stream, p_head_version) u(stream, version)
         CROSS JOIN LATERAL (
               SELECT FROM events e WHERE e.stream = u.stream AND e.version = u.version OFFSET 0) e;
        IF v_rows <> cardinality(p_head_stream) THEN
            RAISE EXCEPTION 'a stream ends before its expected head' USING ERRCODE = 'QD004';
        END IF;
    END IF;
    IF cardinality(p_read_stream) > 0 THEN
        PERFORM FROM unnest(p_read_stream, p_read_version) u(stream, version)
          WHERE u.version <> coalesce(
                (SELECT e.version FROM events e WHERE e.stream = u.stream
                  ORDER BY e.version DESC LIMIT 1), 0);
        IF FOUND THEN
            RAISE EXCEPTION 'a stream has moved' USING ERRCODE = 'QD004';
        END IF;
    END IF;

    IF cardinality(p_event) > 0 THEN
        INSERT INTO events (version, time, lane_seq, lane, id, saga, stream, event_type, causation,
                            key, trace, payload)
        SELECT e.version, e.time, firsts[e.at_lane] + e.nth, p_lane[e.at_lane], e.id, e.saga,
               e.stream, e.event_type, e.causation, e.key, e.trace, e.payload
          FROM unnest(p_event) e;
    END IF;

    IF p_cause IS NOT NULL THEN
        INSERT INTO causes (id, at, in_lanes, firsts, answer)
        VALUES (p_cause, p_at, coalesce(p_lane, '{}'), coalesce(firsts, '{}'),
                p_answer[array_position(p_answer_cause, p_cause)]);
    END IF;
    IF cardinality(p_answer_cause) > 0 THEN
        INSERT INTO causes (id, at, answer)
        SELECT u.id, p_at, u.answer FROM unnest(p_answer_cause, p_answer) u(id, answer)
         WHERE u.id IS DISTINCT FROM p_cause;
    END IF;
    IF cardinality(p_snap_stream) > 0 THEN
        INSERT INTO snapshots AS s (stream, shape, version, state)
        SELECT * FROM unnest(p_snap_stream, p_snap_shape, p_snap_version, p_snap_state)
        ON CONFLICT (stream, shape) DO UPDATE
           SET version = excluded.version, state = excluded.state
         WHERE excluded.version >= s.version;
    END IF;
    IF cardinality(p_gap_topic) > 0 THEN
        INSERT INTO gaps (topic, lane, first, last)
        SELECT * FROM unnest(p_gap_topic, p_gap_lane, p_gap_first, p_gap_last)
        ON CONFLICT DO NOTHING;
    END IF;
    firsts := coalesce(firsts, '{}');
    follows := coalesce(follows, '{}');
END $$;

-- For programs of the version before, while they still run: they do not say what comes last in a lane, so
-- that the next append does not know what it follows, and its relay reads the store.
CREATE OR REPLACE FUNCTION append(
    p_cause uuid, p_at bigint,
    p_answer_cause uuid[], p_answer bytea[],
    p_pos_topic text[], p_pos_lane integer[], p_pos_epoch bigint[], p_pos_from bigint[],
    p_pos_to bigint[], p_pos_id uuid[], p_pos_offset bigint[],
    p_lane integer[], p_lane_count bigint[],
    p_slot integer[], p_slot_alone boolean[],
    p_head_stream text[], p_head_version bigint[],
    p_read_stream text[], p_read_version bigint[],
    p_event new_event[],
    p_snap_stream text[], p_snap_shape bigint[], p_snap_version bigint[], p_snap_state bytea[],
    p_gap_topic text[], p_gap_lane integer[], p_gap_first bigint[], p_gap_last bigint[],
    p_held_topic text[], p_held_lane integer[], p_held_id text[], p_held_change text[],
    p_held_attempts bigint[], p_held_new_attempts bigint[], p_held_state text[],
    p_held_next_at bigint[], p_held_reason text[], p_held_key text[], p_held_seq bigint[],
    p_held_offset bigint[], p_held_type text[], p_held_saga text[], p_held_headers bytea[],
    p_held_payload bytea[], p_held_at bigint[]
) RETURNS bigint[] LANGUAGE sql AS $$
    SELECT a.firsts FROM append(
        p_cause, p_at, p_answer_cause, p_answer, p_pos_topic, p_pos_lane, p_pos_epoch, p_pos_from,
        p_pos_to, p_pos_id, p_pos_offset, p_lane, p_lane_count, NULL, p_slot, p_slot_alone,
        p_head_stream, p_head_version, p_read_stream, p_read_version, p_event, p_snap_stream,
        p_snap_shape, p_snap_version, p_snap_state, p_gap_topic, p_gap_lane, p_gap_first, p_gap_last,
        p_held_topic, p_held_lane, p_held_id, p_held_change, p_held_attempts, p_held_new_attempts,
        p_held_state, p_held_next_at, p_held_reason, p_held_key, p_held_seq, p_held_offset, p_held_type,
        p_held_saga, p_held_headers, p_held_payload, p_held_at) a;
$$;
