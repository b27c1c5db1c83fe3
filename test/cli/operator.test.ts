import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { keptSecretKeyFile } from '../../src/core/settings/kept-secret-key.ts'
import { API, PASSWORD, startServer } from '../kit.ts'
import { cliEnv, runCli } from '../support/cli.ts'
import { startServerProcess } from '../support/server-process.ts'

const WARNING = 40

it('an operator without the secret of the server ends sessions, disables, enables, promotes and creates; no secret is made', async (t) => {
  const server = await startServer('sqlite')
  t.after(() => server.close())
  const { SECRET_KEY: _, ...env } = cliEnv(server)
  const ada = await server.register({ username: 'ada' })
  const act = (...args: string[]) => runCli(args, { env })

  const ended = await act('sessions', 'end', '--all')
  assert.deepEqual(ended, { code: 0, stdout: '', stderr: 'Ended 1 session of all users.\n' })
  assert.equal((await server.me(ada.tokens.access_token)).status, 401)
  assert.equal((await server.refresh(ada.tokens.refresh_token)).status, 401)

  const disabled = await act('users', 'disable', 'ada')
  const shutOut = 'Disabled, and ended all sessions of, ada (ada@example.com).\n'
  assert.deepEqual([disabled.code, disabled.stderr], [0, shutOut])
  const form = { username: 'ada', password: PASSWORD }
  assert.equal((await server.call('POST', `${API}/auth/login`, { form })).body.code, 'inactive_user')
  const enabled = await act('users', 'enable', 'ada')
  assert.deepEqual([enabled.code, enabled.stderr], [0, 'Enabled ada (ada@example.com).\n'])
  await server.login(ada)
  const promoted = await act('users', 'promote', 'ada')
  assert.deepEqual([promoted.code, promoted.stderr], [0, 'ada (ada@example.com) is a superuser now.\n'])

  const made = await runCli(['users', 'create', '--username', 'bob', '--email', 'bob@example.com'], {
    env,
    input: `${PASSWORD}\n`,
  })
  assert.deepEqual([made.code, made.stderr], [0, 'Created user bob (bob@example.com).\n'])
  const { database } = server.settings
  assert.ok(database.kind === 'sqlite')
  assert.ok(!existsSync(keptSecretKeyFile(database.file)))
  await server.restart()
  await server.login({ username: 'bob', password: PASSWORD })
})

it('where there is no database yet, an operator ends, disables and promotes nothing, and makes nothing', async (t) => {
  const folder = await emptyFolder(t)
  for (const args of [
    ['sessions', 'end', '--all'],
    ['users', 'disable', 'ada'],
    ['users', 'enable', 'ada'],
    ['users', 'promote', 'ada'],
    ['users', 'demote', 'ada'],
  ]) {
    const { code, stdout, stderr } = await runCli(args, { folder })
    assert.deepEqual([code, stdout], [1, ''], args.join(' '))
    assert.match(stderr, /^postern: There is no database at .*postern\.db yet: run .*\n$/)
    assert.deepEqual(await readdir(folder), [])
  }
})

it('a first user makes the database and its secret together, and a server starts on them without a warning', async (t) => {
  const folder = await emptyFolder(t)
  const args = ['users', 'create', '--username', 'root', '--email', 'root@example.com', '--superuser']
  const { code, stderr } = await runCli(args, { folder, input: `${PASSWORD}\n` })
  assert.deepEqual([code, stderr], [0, 'Created superuser root (root@example.com).\n'])
  const data = join(folder, 'data')
  for (const name of ['postern.db', 'postern.db.secret-key']) assert.ok(existsSync(join(data, name)), name)

  const server = await startServerProcess({ RATE_LIMITS: 'true' }, { folder })
  try {
    const form = { username: 'root', password: PASSWORD }
    const login = await server.call('POST', `${API}/auth/login`, { form })
    assert.equal(login.status, 200, login.text)
    const token = login.body.access_token
    assert.equal((await server.call('GET', `${API}/users/admin-only`, { token })).status, 200)
    const warnings = server.log().filter(({ level }) => level >= WARNING)
    assert.deepEqual([warnings, server.stderr()], [[], ''])
  } finally {
    await server.stop()
  }
})

async function emptyFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-operator-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}
