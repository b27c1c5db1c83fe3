import pg from 'pg'
import { answerJobs } from '../child.ts'
import { FIND, ROTATE } from './statements.ts'

export type PostgresStatementJob = {
  url: string
  statement: 'find' | 'rotate'
  ids: string[]
  /** Connections, as many as the server has. */
  connections: number
  /** Statements at once. */
  atOnce: number
  seconds: number
}

/** One statement alone, named and prepared, a second through `pg` and its pool. */
answerJobs<PostgresStatementJob, number>(async ({ url, statement, ids, connections, atOnce, seconds }) => {
  const pool = new pg.Pool({ connectionString: url, max: connections })
  const startedAt = performance.now()
  const end = startedAt + seconds * 1000
  let count = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (performance.now() < end) {
        const id = ids[count++ % ids.length] as string
        const query =
          statement === 'find'
            ? { name: 'find', text: FIND, values: [id] }
            : { name: 'rotate', text: ROTATE, values: [Date.now(), id] }
        if ((await pool.query(query)).rows.length !== 1) throw new Error('No such session')
      }
    }),
  )
  const perSecond = count / ((performance.now() - startedAt) / 1000)
  await pool.end()
  return perSecond
})
