-- 0004: the ledger is kept for as long as it is set to, and no longer.

-- Functions may not delete calls: a month that has begun, or ended lately, is history. What has ended long enough ago goes
-- through here alone, whole months of it, some rows at a time. What a month cost in all stays in `budgets`.
CREATE FUNCTION forget_calls(kept interval, most int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first_kept date := date_trunc('month', (clock_timestamp() - kept) AT TIME ZONE 'UTC')::date;
    gone int;
BEGIN
    IF kept < interval '62 days' THEN
        RAISE EXCEPTION 'the ledger of the last two months is never deleted' USING ERRCODE = '23514';
    END IF;
    WITH old AS MATERIALIZED (
        SELECT c.id FROM workspaces w CROSS JOIN LATERAL (
            SELECT c.id FROM calls c
            WHERE c.workspace = w.id AND c.month < first_kept AND c.state <> 'reserved' LIMIT most FOR UPDATE SKIP LOCKED
        ) c LIMIT most
    ), links AS (
        DELETE FROM call_tasks WHERE call_id IN (SELECT id FROM old)
    ), calls_gone AS (
        DELETE FROM calls WHERE id IN (SELECT id FROM old) RETURNING 1
    ) SELECT count(*) INTO gone FROM calls_gone;
    RETURN gone;
END $$;
REVOKE ALL ON FUNCTION forget_calls FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_calls TO aiw_app;

UPDATE meta SET schema_version = 4;
