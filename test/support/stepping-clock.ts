import { withClient } from './database.ts'

/**
 * Gives a database a clock that can step: functions that hide PostgreSQL's own, for connections opened from now on. All our statements call
 * these functions. So a step has the same effect as a step of the server's clock, but needs no separate server.
 */
export async function giveSteppingClock(url: string): Promise<{ step(byMs: number): Promise<void> }> {
  await withClient(url, async db => {
    await db.query(`
      CREATE TABLE clock_offset AS SELECT interval '0' AS by;
      CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
        AS $$ SELECT pg_catalog.clock_timestamp() + (SELECT by FROM public.clock_offset) $$;
      CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE
        AS $$ SELECT pg_catalog.now() + (SELECT by FROM public.clock_offset) $$`)
    const { rows } = await db.query('SELECT current_database() AS name')
    await db.query(`ALTER DATABASE "${rows[0].name}" SET search_path = public, pg_catalog`)
  })
  return {
    step: byMs => withClient(url, async db => void (await db.query(`UPDATE clock_offset SET by = by + $1 * interval '1 ms'`, [byMs]))),
  }
}
