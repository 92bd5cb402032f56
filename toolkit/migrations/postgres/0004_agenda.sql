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
-- it back. Arrays of one kind come sorted by id, or are null. What goes with a token must have it; without
-- one it goes whoever has claimed it. An id is among those that go or among those that were tried, not among
-- both. Items that are not as they were claimed are named by the client, when this fails.
CREATE FUNCTION change_agenda(
    p_firsts bigint[],
    p_gone uuid[], p_gone_token uuid[],
    p_tried uuid[], p_tried_token uuid[], p_tried_due bigint[], p_tried_state text[],
    p_tried_attempts bigint[], p_tried_begun boolean[], p_tried_outcome bytea[],
    p_tried_reason text[],
    p_put new_agenda[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_rows bigint;
BEGIN
    -- Two appends that change the same items in different ways meet at the first of them.
    IF num_nonnulls(p_gone, p_tried, p_put) > 1 THEN
        PERFORM FROM agenda a
          WHERE a.id = ANY (p_gone || p_tried || ARRAY(SELECT p.id FROM unnest(p_put) p))
          ORDER BY a.id FOR UPDATE;
    END IF;
    IF p_gone IS NOT NULL THEN
        WITH gone AS (
            DELETE FROM agenda a USING unnest(p_gone, p_gone_token) u(id, token)
             WHERE a.id = u.id AND (u.token IS NULL OR a.token = u.token)
            RETURNING u.token)
        SELECT count(token) INTO v_rows FROM gone;
        IF v_rows <> (SELECT count(token) FROM unnest(p_gone_token) u(token)) THEN
            RAISE EXCEPTION 'an item of the agenda has changed' USING ERRCODE = 'QD006';
        END IF;
    END IF;
    IF p_tried IS NOT NULL THEN
        UPDATE agenda a
           SET due = u.due, state = u.state, attempts = u.attempts, begun = u.begun,
               outcome = u.outcome, reason = u.reason, leased_until = NULL
          FROM unnest(p_tried, p_tried_token, p_tried_due, p_tried_state, p_tried_attempts,
                      p_tried_begun, p_tried_outcome, p_tried_reason)
               u(id, token, due, state, attempts, begun, outcome, reason)
         WHERE a.id = u.id AND a.token = u.token;
        GET DIAGNOSTICS v_rows = ROW_COUNT;
        IF v_rows <> cardinality(p_tried) THEN
            RAISE EXCEPTION 'an item of the agenda has changed' USING ERRCODE = 'QD006';
        END IF;
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
-- two do not choose the same items; an item that an append is about to change is passed over.
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
BEGIN
    PERFORM pg_advisory_xact_lock(20818, CASE p_kind WHEN 'deadline' THEN 1 ELSE 2 END);
    v_clock := clock_timestamp();
    RETURN QUERY
    WITH earliest AS MATERIALIZED (
        SELECT e.id
          FROM (SELECT DISTINCT n FROM unnest(p_names) n) names
         CROSS JOIN LATERAL (
               SELECT c.id, c.due FROM agenda c
                WHERE c.kind = p_kind AND c.name = names.n AND c.state = 'pending' AND c.due <= p_now
                  AND (c.leased_until IS NULL OR c.leased_until <= v_clock)
                ORDER BY c.due, c.id LIMIT p_limit) e
         ORDER BY e.due, e.id LIMIT p_limit),
    chosen AS MATERIALIZED (
        SELECT c.id, c.begun FROM earliest e JOIN agenda c ON c.id = e.id
         WHERE c.kind = p_kind AND c.name = ANY (p_names) AND c.state = 'pending' AND c.due <= p_now
           AND (c.leased_until IS NULL OR c.leased_until <= v_clock)
           FOR UPDATE OF c SKIP LOCKED)
    UPDATE agenda a
       SET token = p_token, begun = a.begun OR a.kind = 'effect',
           leased_until = v_clock + p_lease * interval '1 microsecond'
      FROM chosen c WHERE a.id = c.id
    RETURNING a.set_at, a.due, a.attempts, a.id, a.token, a.saga, c.begun, a.kind, a.state, a.name,
              a.key, a.causation, a.trace, a.reason, a.payload, a.outcome;
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
