import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { openImportSource } from '../../src/features/users/import-source.ts'
import { runCli } from '../support/cli.ts'
import { createOriginal, OLD_HASH } from '../support/original-users.ts'

describe('postern users import: the file', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-source-'))
  })
  after(() => rm(folder, { recursive: true }))

  const make = (name: string, statements: string): string => {
    const file = join(folder, name)
    const database = new DatabaseSync(file)
    database.exec(statements)
    database.close()
    return file
  }
  const read = (file: string) => {
    const source = openImportSource(file)
    try {
      return [...source.rows].map((row) => ({ ...row }))
    } finally {
      source.close()
    }
  }

  it('what is no such file is told in one line, exit code 1, before the target is touched', async () => {
    const target = join(folder, 'target')
    await mkdir(target)
    const file = join(folder, 'missing.db')
    const { code, stdout, stderr } = await runCli(['users', 'import', '--sqlite', file], { folder: target })
    assert.deepEqual([code, stdout, stderr], [1, '', `postern: ${file}: there is no such file\n`])
    assert.deepEqual(await readdir(target), [])
  })

  it('each wrong file is told by what is wrong with it', async () => {
    const text = join(folder, 'text.db')
    await writeFile(text, 'not a database, but long enough to be one'.repeat(100))
    const cases = {
      [folder]: 'there is no such file',
      [text]: 'it is not an SQLite database',
      [make('empty.db', '')]: 'it has no table "users"',
      [make('other.db', 'create table people (id)')]: 'it has no table "users"',
      [make('short.db', 'create table users (id, email)')]:
        'its table "users" has no column username, hashed_password',
    }
    for (const [file, message] of Object.entries(cases)) {
      assert.throws(() => openImportSource(file), { name: 'StartupError', message: `${file}: ${message}` })
    }
  })

  it('columns other than username, email and hashed_password may be absent, in any order and case', () => {
    const file = make(
      'few.db',
      `create table Users (HASHED_PASSWORD, Email, username);
       insert into users values ('h', 'a@example.com', 'ada'), (null, null, 5)`,
    )
    const rest = { is_active: 1, is_superuser: 0, created_at: null, updated_at: null }
    assert.deepEqual(read(file), [
      { id: '1', username: 'ada', email: 'a@example.com', hashed_password: 'h', ...rest },
      { id: '2', username: '5', email: null, hashed_password: null, ...rest },
    ])
  })

  it('ids beyond 2^53 and flags of any kind are read; only a clear yes makes a superuser', () => {
    const file = make(
      'odd.db',
      `create table users (id integer primary key, username, email, hashed_password, is_active, is_superuser);
       insert into users values (9007199254740993, 'a', 'a', 'a', null, null), (9007199254740994, 'b', 'b', 'b', 'yes', 'yes'),
         (9007199254740995, 'c', 'c', 'c', 0, 1)`,
    )
    const flags = read(file).map(({ id, is_active, is_superuser }) => [id, is_active, is_superuser])
    assert.deepEqual(flags, [
      ['9007199254740993', 1, 0],
      ['9007199254740994', 0, 0],
      ['9007199254740995', 0, 1],
    ])
  })

  it('one snapshot is read while the app goes on writing, with what is still in its write-ahead log', () => {
    const file = join(folder, 'live.db')
    createOriginal(file, [{}], 'wal')
    const app = new DatabaseSync(file)
    const insert = app.prepare('insert into users (username, email, hashed_password) values (?, ?, ?)')
    insert.run('logged', 'logged@example.com', OLD_HASH)
    const source = openImportSource(file)
    insert.run('late', 'late@example.com', OLD_HASH)
    assert.equal(source.total, 2)
    assert.deepEqual(
      [...source.rows].map(({ username }) => username),
      ['old1', 'logged'],
    )
    source.close()
    app.close()
  })

  it('without a place for shared memory it is read as it stands, unless its write-ahead log holds data', async () => {
    const file = join(folder, 'wal.db')
    createOriginal(file, [{}], 'wal')
    const [still, open] = [join(folder, 'still.db'), join(folder, 'open.db')]
    await copyFile(file, still)
    const app = new DatabaseSync(file)
    app.exec("insert into users (username) values ('logged')")
    await copyFile(file, open)
    await copyFile(`${file}-wal`, `${open}-wal`)
    app.close()
    // A name that leads to itself cannot be opened, not even by root in a folder that anyone may write to.
    for (const copy of [still, open]) await symlink(`${copy}-shm`, `${copy}-shm`)

    assert.equal(read(still).length, 1)
    assert.throws(() => openImportSource(open), {
      name: 'StartupError',
      message: `${open}: changes wait in ${open}-wal that cannot be read here; copy both to where you may write`,
    })
  })
})
