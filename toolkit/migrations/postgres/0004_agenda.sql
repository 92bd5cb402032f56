-- Released: never edit this file, add the next one. Deadlines and effects (P13, P14).

-- What is to be done at a time. `begun` and `outcome` are of effects. `leased_until` is by this server's
-- clock and keeps other claims away; the token says who may end the item.
CREATE TABLE agenda (
    set_at       bigint  NOT NULL,
    due          bigint  NOT NULL,
    attempts     bigint  NOT NULL,
    leased_until timestamptz,
    id           uuid    PRIMARY KEY,
    token        uuid    NOT NULL,
    saga         uuid    NOT NULL,
    begun        boolean NOT NULL,
    kind         text    COLLATE "C" NOT NULL CHECK (kind IN ('deadline', 'effect')),
    state        text    COLLATE "C" NOT NULL CHECK (state IN ('pending', 'dead')),
    name         text    COLLATE "C" NOT NULL,
    key          text    COLLATE "C" NOT NULL,
    causation    text    COLLATE "C" NOT NULL,
    trace        text    COLLATE "C",
    reason       text    COLLATE "C" NOT NULL,
    payload      bytea   NOT NULL,
    outcome      bytea
) WITH (
    -- Claims change columns without an index: they find room in the page. Items come and go: what is gone
    -- is cleared away before a claim has to step over much of it.
    fillfactor = 80, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02
);

-- A claim reads one range of this for each name: no other name's backlog stands in its way.
CREATE INDEX agenda_due ON agenda (kind, name, due, id) WHERE state = 'pending';
-- For people.
CREATE INDEX agenda_dead ON agenda (due, id) WHERE state = 'dead';
CREATE INDEX agenda_saga ON agenda (saga);

-- An item as an append puts it there.
CREATE TYPE new_agenda AS (
    set_at    bigint,
    due       bigint,
    attempts  bigint,
    id        uuid,
    token     uuid,
    saga      uuid,
    begun     boolean,
    kind      text,
    state     text,
    name      text,
    key       text,
    causation text,
    trace     text,
    reason    text,
    payload   bytea,
    outcome   bytea
);

-- Changes the agenda within an append, behind everything else of it: it takes what `append` gave, and gives
-- it back. Arrays of one kind come sorted by id, or are null. What has ended and what was tried must have its
-- token; an id is among those that ended, those that are cleared or those that were tried. Items that are not
-- as they were claimed are named by the client, when this fails. Rows are found by `id = ANY`, and not by a
-- join: a join that was planned while the table was empty reads it whole when it is full.
CREATE FUNCTION change_agenda(
    p_firsts bigint[],
    p_ended uuid[], p_ended_token uuid[],
    p_cleared uuid[],
    p_tried uuid[], p_tried_token uuid[], p_tried_due bigint[], p_tried_state text[],
    p_tried_attempts bigint[], p_tried_begun boolean[], p_tried_outcome bytea[],
    p_tried_reason text[],
    p_put new_agenda[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_tokens uuid[];
    v_found  boolean := true;
BEGIN
    -- Two appends that change the same items in different ways meet at the first of them.
    IF num_nonnulls(p_ended, p_cleared, p_tried, p_put) > 1 THEN
        PERFORM FROM agenda a
          WHERE a.id = ANY (p_ended || p_cleared || p_tried || ARRAY(SELECT p.id FROM unnest(p_put) p))
          ORDER BY a.id FOR UPDATE;
    END IF;
    IF p_ended IS NOT NULL THEN
        WITH gone AS (DELETE FROM agenda a WHERE a.id = ANY (p_ended) RETURNING a.id, a.token)
        SELECT array_agg(g.token ORDER BY g.id) INTO v_tokens FROM gone g;
        v_found := v_tokens IS NOT DISTINCT FROM p_ended_token;
    END IF;
    FOR v_n IN 1 .. coalesce(cardinality(p_tried), 0) LOOP
        EXIT WHEN NOT v_found;
        UPDATE agenda a
           SET due = p_tried_due[v_n], state = p_tried_state[v_n], attempts = p_tried_attempts[v_n],
               begun = p_tried_begun[v_n], outcome = p_tried_outcome[v_n],
               reason = p_tried_reason[v_n], leased_until = NULL
         WHERE a.id = p_tried[v_n] AND a.token = p_tried_token[v_n];
        v_found := FOUND;
    END LOOP;
    IF NOT v_found THEN
        RAISE EXCEPTION 'an item of the agenda has changed' USING ERRCODE = 'QD006';
    END IF;
    IF p_cleared IS NOT NULL THEN
        DELETE FROM agenda a WHERE a.id = ANY (p_cleared);
    END IF;
    IF p_put IS NOT NULL THEN
        INSERT INTO agenda AS a (set_at, due, attempts, id, token, saga, begun, kind, state, name, key,
                                 causation, trace, reason, payload, outcome)
        SELECT p.* FROM unnest(p_put) p
        ON CONFLICT (id) DO UPDATE
           SET set_at = excluded.set_at, due = excluded.due, attempts = excluded.attempts,
               leased_until = NULL, token = excluded.token, saga = excluded.saga,
               begun = excluded.begun, kind = excluded.kind, state = excluded.state,
               name = excluded.name, key = excluded.key, causation = excluded.causation,
               trace = excluded.trace, reason = excluded.reason, payload = excluded.payload,
               outcome = excluded.outcome;
    END IF;
    RETURN p_firsts;
END $$;

-- Claims what is due, the earliest first: gives the items a token and a lease by this server's clock, and
-- marks effects as begun. `begun` comes back as it was before. Claims of a kind follow one another, so that
-- two do not choose the same items; an item that an append is changing is passed over. Each statement has
-- one index that it can go along, however full the table was when it was planned.
CREATE FUNCTION claim_agenda(
    p_kind text, p_names text[], p_now bigint, p_token uuid, p_lease bigint, p_limit bigint
) RETURNS TABLE (
    set_at bigint, due bigint, attempts bigint, id uuid, token uuid, saga uuid, begun boolean, kind text,
    state text, name text, key text, causation text, trace text, reason text, payload bytea,
    outcome bytea
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_clock timestamptz;
    v_ids   uuid[];
    v_begun uuid[];
BEGIN
    PERFORM pg_advisory_xact_lock(20818, CASE p_kind WHEN 'deadline' THEN 1 ELSE 2 END);
    v_clock := clock_timestamp();
    SELECT array_agg(e.id) INTO v_ids
      FROM (SELECT c.id
              FROM (SELECT DISTINCT n FROM unnest(p_names) n) names
             CROSS JOIN LATERAL (
                   SELECT a.id, a.due FROM agenda a
                    WHERE a.kind = p_kind AND a.name = names.n AND a.state = 'pending'
                      AND a.due <= p_now AND (a.leased_until IS NULL OR a.leased_until <= v_clock)
                    ORDER BY a.due, a.id LIMIT p_limit) c
             ORDER BY c.due, c.id LIMIT p_limit) e;
    IF v_ids IS NULL THEN
        RETURN;
    END IF;
    -- An append may have changed them since they were chosen.
    SELECT array_agg(c.id), array_agg(c.id) FILTER (WHERE c.begun) INTO v_ids, v_begun
      FROM (SELECT a.* FROM agenda a WHERE a.id = ANY (v_ids)
             ORDER BY a.id FOR UPDATE SKIP LOCKED OFFSET 0) c
     WHERE c.kind = p_kind AND c.name = ANY (p_names) AND c.state = 'pending' AND c.due <= p_now
       AND (c.leased_until IS NULL OR c.leased_until <= v_clock);
    RETURN QUERY
    UPDATE agenda a
       SET token = p_token, begun = a.begun OR a.kind = 'effect',
           leased_until = v_clock + p_lease * interval '1 microsecond'
     WHERE a.id = ANY (v_ids)
    RETURNING a.set_at, a.due, a.attempts, a.id, a.token, a.saga, coalesce(a.id = ANY (v_begun), false),
              a.kind, a.state, a.name, a.key, a.causation, a.trace, a.reason, a.payload, a.outcome;
END $$;

-- As before, and the agenda.
CREATE OR REPLACE FUNCTION grant_service_role(role name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    may text;
BEGIN
    FOREACH may IN ARRAY ARRAY[
        'USAGE ON SCHEMA ' || quote_ident(current_schema()),
        'SELECT ON schema_migrations',
        'SELECT, INSERT ON events, gaps',
        'SELECT, INSERT, UPDATE ON service, lanes, positions, snapshots, floors, leases',
        'SELECT, INSERT, DELETE ON causes',
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
         WHERE c.oid = 'held'::regclass AND r.oid = a.grantee AND a.grantee <> c.relowner
           AND a.privilege_type = 'DELETE'
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON agenda TO %I', v_role);
    END LOOP;
END $$;
