import { DatabaseSync } from 'node:sqlite'
import { answerJobs } from '../child.ts'
import { ROTATE } from './statements.ts'

export type SqliteCommitsJob = { file: string; ids: string[]; seconds: number }

/** Durable commits a second through `node:sqlite`, each of one `UPDATE ... RETURNING`, prepared once. */
answerJobs<SqliteCommitsJob, number>(({ file, ids, seconds }) => {
  const database = new DatabaseSync(file)
  database.exec('pragma journal_mode = wal; pragma synchronous = full')
  const rotate = database.prepare(ROTATE.replaceAll(/\$\d/g, '?'))
  const startedAt = performance.now()
  const end = startedAt + seconds * 1000
  let count = 0
  for (; performance.now() < end; count += 1) {
    if (!rotate.get(Date.now(), ids[count % ids.length] as string)) throw new Error('No such session')
  }
  database.close()
  return count / ((performance.now() - startedAt) / 1000)
})
