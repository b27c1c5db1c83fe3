import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { createContext } from '../../src/context.ts'
import { loadSettings } from '../../src/core/settings.ts'
import { diagnose } from '../support/doctor.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { startServerProcess } from '../support/server-process.ts'

const FILE = 'data/postern.db'
const isWindows = process.platform === 'win32'

async function emptyFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-doctor-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A folder in which a server has run, and stopped. */
async function usedFolder(t: TestContext): Promise<string> {
  const directory = await emptyFolder(t)
  const context = await createContext(loadSettings({ env: {}, directory }).settings)
  await context.close()
  return directory
}

/** Every file with its size and mode, and when it was changed. */
async function snapshot(directory: string) {
  const names = (await readdir(directory, { recursive: true })).sort()
  return Promise.all(
    names.map(async (name) => {
      const { size, mode, mtimeMs } = await stat(join(directory, name))
      return { name, size, mode, mtimeMs }
    }),
  )
}

describe('doctor: SQLite', () => {
  it('nothing is created or changed: where there is nothing, where a server has stopped, and where one runs', async (t) => {
    const empty = await emptyFolder(t)
    assert.deepEqual((await diagnose({}, { directory: empty })).found(), ['database.new'])
    assert.deepEqual(await readdir(empty), [])

    const used = await usedFolder(t)
    const before = await snapshot(used)
    assert.deepEqual((await diagnose({}, { directory: used })).found(), ['accounts.superuser'])
    assert.deepEqual(await snapshot(used), before)

    const server = await startServerProcess({}, { folder: used })
    t.after(() => server.kill())
    const running = await readdir(used, { recursive: true })
    assert.deepEqual((await diagnose({}, { directory: used })).found(), ['accounts.superuser'])
    assert.deepEqual(await readdir(used, { recursive: true }), running)
    // One that was killed leaves its write-ahead log.
    await server.kill()
    const killed = await snapshot(used)
    assert.deepEqual((await diagnose({}, { directory: used })).found(), ['accounts.superuser'])
    const names = (files: typeof killed) => files.map(({ name, size }) => [name, size])
    assert.deepEqual(names(await snapshot(used)), names(killed))
  })

  it('what a server has just written is seen', async (t) => {
    const server = await startServerProcess()
    t.after(() => server.stop())
    const json = { username: 'root', email: 'root@example.com', password: 'correct horse battery staple' }
    assert.equal((await server.call('POST', '/api/v1/auth/register', { json })).status, 200)
    const database = new DatabaseSync(join(server.folder, FILE))
    database.exec('update users set is_superuser = true')
    database.close()
    assert.deepEqual((await diagnose({}, { directory: server.folder })).found(), [])
  })

  it('modes that let others in: of the database, its folder, the secret, and files with settings', {
    skip: isWindows,
  }, async (t) => {
    const directory = await usedFolder(t)
    const data = join(directory, 'data')
    const secretFile = join(directory, 'other-secret')
    await writeFile(secretFile, SECRET_KEY)
    await writeFile(
      join(directory, '.env'),
      `CAPTCHA_VERIFY_URL=http://localhost:9/\nCAPTCHA_SECRET=canary\n`,
    )
    const found = async () =>
      (await diagnose({}, { directory })).found('accounts.superuser', 'services.captcha')
    await chmod(directory, 0o755)
    await chmod(join(directory, '.env'), 0o600)
    assert.deepEqual(await found(), [])

    await chmod(join(directory, FILE), 0o644)
    await chmod(data, 0o777)
    await chmod(join(data, 'postern.db.secret-key'), 0o640)
    await chmod(join(directory, '.env'), 0o644)
    assert.deepEqual(await found(), ['files.secrets', 'secret.mode', 'sqlite.mode', 'sqlite.folder_mode'])
    // Nobody gets to a file through a folder that is closed.
    await chmod(directory, 0o700)
    assert.deepEqual(await found(), ['secret.mode', 'sqlite.mode', 'sqlite.folder_mode'])
    await chmod(directory, 0o755)
    await chmod(secretFile, 0o644)
    const env = { SECRET_KEY_PREVIOUS_FILE: secretFile }
    const { what } = await diagnose(env, { directory })
    assert.deepEqual(what('files.secrets'), [
      '.env: the file is open to all users',
      'SECRET_KEY_PREVIOUS_FILE: the file is open to all users',
    ])
  })

  it('a file without secrets in it may be read by all', async (t) => {
    const directory = await emptyFolder(t)
    await chmod(directory, 0o755)
    await writeFile(join(directory, '.env'), `PORT=8001\nDATABASE_URL=sqlite:///./${FILE}\nPROJECT_NAM=x\n`, {
      mode: 0o644,
    })
    const diagnosis = await diagnose({}, { directory })
    assert.deepEqual(diagnosis.found(), ['files.dotenv', 'database.new'])
    assert.match(
      diagnosis.what('files.dotenv')[0] ?? '',
      /'PROJECT_NAM' is not a setting of Postern; did you mean PROJECT_NAME\?/,
    )
  })

  it('the kept secret: unreadable, lost, not used any more', async (t) => {
    const directory = await usedFolder(t)
    const file = join(directory, `${FILE}.secret-key`)
    const unused = await diagnose({ SECRET_KEY }, { directory })
    assert.deepEqual(unused.found('accounts.superuser'), ['secret.unused', 'keys.sealed', 'audit.key'])
    await writeFile(file, 'short\n')
    const broken = await diagnose({}, { directory })
    assert.deepEqual(broken.found('accounts.superuser'), ['secret.kept', 'doctor.not_looked_at'])
    assert.deepEqual(broken.what('doctor.not_looked_at'), [
      'Not looked at: keys, audit; there is no secret to open them with',
    ])
    await rm(file)
    const lost = await diagnose({}, { directory })
    assert.deepEqual(lost.found('accounts.superuser'), ['secret.lost', 'doctor.not_looked_at'])
  })

  it('a file that is no database, or a damaged one', async (t) => {
    const directory = await usedFolder(t)
    const file = join(directory, FILE)
    const handle = await open(file, 'r+')
    // Pages behind the first, which has the schema.
    await handle.write(Buffer.alloc(4096 * 3, 0xa5), 0, 4096 * 3, 4096 * 2)
    await handle.close()
    const damaged = await diagnose({}, { directory })
    assert.equal(damaged.level('sqlite.integrity'), 'error')
    assert.match(damaged.what('sqlite.integrity')[0] ?? '', /postern\.db: .+/)

    await writeFile(file, 'no database, but text that is long enough '.repeat(40))
    const none = await diagnose({}, { directory })
    assert.deepEqual(none.found('accounts.superuser'), ['database.usable', 'doctor.not_looked_at'])
    assert.match(none.what('database.usable')[0] ?? '', /cannot be opened: it is not an SQLite database$/)
  })

  it('a very large file is not looked through; a write-ahead log that does not end is told of', async (t) => {
    const directory = await usedFolder(t)
    const file = join(directory, FILE)
    const database = new DatabaseSync(file)
    t.after(() => database.close())
    database.exec('begin immediate; update users set is_active = true')
    await truncate(`${file}-wal`, 257 * 2 ** 20)
    await truncate(file, 2 ** 30 + 4096)
    const diagnosis = await diagnose({}, { directory })
    assert.deepEqual(diagnosis.found('accounts.superuser'), ['sqlite.integrity_unknown', 'sqlite.wal'])
    assert.deepEqual(diagnosis.what('sqlite.wal'), ['The write-ahead log has 257 MiB'])
  })

  it('a file or folder that this user may not write to', { skip: isWindows }, async (t) => {
    const directory = await usedFolder(t)
    const data = join(directory, 'data')
    await chmod(join(directory, FILE), 0o400)
    await chmod(data, 0o500)
    // Nobody may do as little as root may do much.
    const program = `
      import { lchownSync } from 'node:fs'
      import { examine } from '${new URL('../../src/doctor/examine.ts', import.meta.url)}'
      if (process.getuid() === 0) {
        for (const path of ${JSON.stringify([directory, data, join(directory, FILE), `${join(directory, FILE)}.secret-key`])}) lchownSync(path, 65534, 65534)
        process.setgid(65534)
        process.setuid(65534)
      }
      const findings = await examine({ env: {}, directory: ${JSON.stringify(directory)} })
      console.log(JSON.stringify(findings.filter(({ level }) => level === 'error')))
      console.log(findings.find(({ check }) => check === 'machine.root').level)`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      encoding: 'utf8',
    })
    await chmod(data, 0o700)
    const [errors = '', root] = stdout.trim().split('\n')
    assert.deepEqual(
      JSON.parse(errors || stderr).map(({ check }: { check: string }) => check),
      ['sqlite.writable'],
    )
    assert.equal(root, 'ok')
  })

  it('open files: a limit that is low, and one that is not', {
    skip: process.platform !== 'linux',
  }, async (t) => {
    const directory = await emptyFolder(t)
    const program = new URL('../../bin/postern.js', import.meta.url).pathname
    const look = (limit: number) => {
      const command = `ulimit -n ${limit} && exec "${process.execPath}" "${program}" doctor --json`
      const { stdout } = spawnSync('sh', ['-c', command], { cwd: directory, encoding: 'utf8' })
      return JSON.parse(stdout).findings.find(
        ({ check }: { check: string }) => check === 'machine.open_files',
      )
    }
    assert.equal(look(512).what, 'A process may open 512 files only')
    assert.equal(look(4096).level, 'ok')
  })
})
