-- Released: never edit this file, add the next one. Events of foreign producers (P4).

-- What was taken, by what CloudEvents knows it by; `at` is when that was decided.
CREATE TABLE inbox (
    at     bigint NOT NULL,
    source text   COLLATE "C" NOT NULL,
    id     text   COLLATE "C" NOT NULL,
    CONSTRAINT inbox_event PRIMARY KEY (source, id)
);

CREATE INDEX inbox_at ON inbox USING brin (at);

-- Remembers events within an append, behind everything else of it: it takes what was given, and gives it
-- back. They come sorted, so that two appends with the same ones wait for each other and not both; whoever
-- waited sees what the other committed. Which ones were seen is looked up by the client, when this fails.
CREATE FUNCTION take_events(p_firsts bigint[], p_source text[], p_id text[], p_at bigint)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_rows bigint;
BEGIN
    INSERT INTO inbox (at, source, id)
    SELECT p_at, u.source, u.id FROM unnest(p_source, p_id) u(source, id)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    IF v_rows <> cardinality(p_source) THEN
        RAISE EXCEPTION 'an event was taken before' USING ERRCODE = 'QD007';
    END IF;
    RETURN p_firsts;
END $$;

-- As before, and the inbox.
CREATE OR REPLACE FUNCTION grant_service_role(role name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    may text;
BEGIN
    FOREACH may IN ARRAY ARRAY[
        'USAGE ON SCHEMA ' || quote_ident(current_schema()),
        'SELECT ON schema_migrations',
        'SELECT, INSERT ON events, gaps',
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
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON inbox TO %I', v_role);
    END LOOP;
END $$;
