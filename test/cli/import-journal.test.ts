import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { openImportSource } from '../../src/features/users/import-source.ts'
import { runCli } from '../support/cli.ts'
import { createOriginal } from '../support/original-users.ts'

const USERS = 300

/** The file of an app that was killed in a transaction, part of which has been written into the file already. */
describe('postern users import: a file with the rollback journal of a writer that was killed', () => {
  let folder: string
  let file: string
  let journal: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-journal-'))
    file = join(folder, 'killed.db')
    journal = `${file}-journal`
    await killWriter(join(folder, 'app.db'), file)
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('the control: read as it stands, it holds what was never committed', () => {
    const url = pathToFileURL(file)
    url.searchParams.set('immutable', '1')
    assert.ok(countSuperusers(new DatabaseSync(url, { readOnly: true })) > 0)
  })

  it('is refused in one line that names the journal, with both files left as they are', async () => {
    const target = await mkdtemp(join(folder, 'target-'))
    const before = await readAll(file, journal)
    const refused = `${file}: changes wait in ${journal} that cannot be read here; copy both to where you may write`
    assert.throws(() => openImportSource(file), { name: 'StartupError', message: refused })
    for (const dryRun of [[], ['--dry-run']]) {
      const args = ['users', 'import', '--sqlite', file, ...dryRun]
      const { code, stdout, stderr } = await runCli(args, { folder: target })
      assert.deepEqual([code, stdout, stderr], [1, '', `postern: ${refused}\n`])
    }
    assert.deepEqual(await readdir(target), [])
    assert.deepEqual(await readAll(file, journal), before)
  })

  it('is read whole once SQLite has rolled it back', async () => {
    const copy = join(folder, 'copy.db')
    await copyFile(file, copy)
    await copyFile(journal, `${copy}-journal`)
    assert.equal(countSuperusers(new DatabaseSync(copy)), 0)
    const source = openImportSource(copy)
    const rows = [...source.rows]
    source.close()
    assert.equal(rows.length, USERS)
    assert.ok(rows.every(({ is_superuser }) => is_superuser === 0))
  })

  it('a journal that is empty or left over from a finished transaction holds nothing back', async () => {
    const copy = join(folder, 'finished.db')
    createOriginal(copy, [{}], 'persist')
    assert.notEqual((await readFile(`${copy}-journal`)).length, 0)
    for (let time = 0; time < 2; time++) {
      const source = openImportSource(copy)
      assert.equal(source.total, 1)
      source.close()
      await writeFile(`${copy}-journal`, '')
    }
  })
})

/** Copies a database and its journal in the middle of a transaction that makes everyone a superuser. */
async function killWriter(app: string, copy: string): Promise<void> {
  createOriginal(
    app,
    Array.from({ length: USERS }, () => ({})),
  )
  const writer = new DatabaseSync(app)
  // With room for so little, changed pages are written before the commit.
  writer.exec('pragma cache_size = 1; begin; update users set is_superuser = 1')
  await copyFile(app, copy)
  await copyFile(`${app}-journal`, `${copy}-journal`)
  writer.exec('rollback')
  writer.close()
}

function countSuperusers(database: DatabaseSync): number {
  const row = database.prepare('select count(*) as count from users where is_superuser = 1').get()
  database.close()
  return Number(row?.count)
}

const readAll = (...files: string[]) => Promise.all(files.map((file) => readFile(file)))
