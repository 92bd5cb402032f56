-- Released: never edit this file, add the next one. What has to lock before it looks.

-- Whether the append with this cause was committed. Waits for one that is still on its way: its
-- connection may be gone while the server is at work on it (P17).
CREATE FUNCTION outcome(p_cause uuid, OUT in_lanes integer[], OUT firsts bigint[])
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(cause_key(p_cause));
    SELECT c.in_lanes, c.firsts INTO in_lanes, firsts FROM causes c WHERE c.id = p_cause;
END $$;

-- Takes lanes over, which come sorted; one row each, in that order. `missing` is set for a lane that is
-- refused. Held messages change only under the lock of their lane's position, which this takes first:
-- so both are of one moment (P11). The held arrays are the first messages of their keys; nothing waits
-- behind a dead message without a key.
CREATE FUNCTION claim(
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
                           AND NOT (f.key = '' AND f.state = 'dead')
                         ORDER BY f.key, f.seq, f.log_offset, f.id) f
                     ORDER BY f.seq, f.log_offset, f.id LIMIT p_held_max) h;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
