import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { StartupError } from '../../../src/core/problems.ts'
import { generateSecretKey } from '../../../src/core/settings/secret-key.ts'
import { checkSettings, loadSettings } from '../../../src/core/settings.ts'
import { type Env, POSTGRES, SECRET, temporaryDirectory } from './cases.ts'

test('settings: a generated secret is kept, closed to others, and found again', (t) => {
  const directory = temporaryDirectory(t)
  const first = loadSettings({ env: {}, directory })
  const file = join(directory, 'data/postern.db.secret-key')
  assert.match(first.settings.secretKey, /^[\w-]{43}$/)
  assert.deepEqual(first.warnings, [])
  assert.equal(readFileSync(file, 'utf8'), `${first.settings.secretKey}\n`)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(statSync(join(directory, 'data')).mode & 0o777, 0o700)
  assert.deepEqual(readdirSync(join(directory, 'data')), ['postern.db.secret-key'])

  writeFileSync(join(directory, 'data/postern.db'), '')
  assert.deepEqual(loadSettings({ env: {}, directory }), first)
  assert.equal(checkSettings({ env: {}, directory }).settings.secretKey, undefined)
})

test('settings: checking, a given secret and PostgreSQL write nothing', (t) => {
  const directory = temporaryDirectory(t)
  checkSettings({ env: {}, directory })
  loadSettings({ env: { SECRET_KEY: SECRET }, directory })
  loadSettings({ env: { SECRET_KEY: SECRET, DATABASE_URL: POSTGRES }, directory })
  assert.throws(() => loadSettings({ env: { PORT: 'x' }, directory }), StartupError)
  assert.deepEqual(readdirSync(directory), [])
})

test('settings: a new secret for a database that exists is a warning', (t) => {
  const directory = temporaryDirectory(t)
  writeFileSync(join(directory, 'app.db'), '')
  const { warnings } = loadSettings({ env: { DATABASE_URL: 'sqlite:///app.db' }, directory })
  assert.match(warnings.join(), /app\.db\.secret-key: a new secret key was made for a database that exists/)
})

test('settings: a kept secret that others can open is a warning', (t) => {
  const directory = temporaryDirectory(t)
  const { settings } = loadSettings({ env: {}, directory })
  chmodSync(join(directory, 'data/postern.db.secret-key'), 0o644)
  const again = loadSettings({ env: {}, directory })
  assert.equal(again.settings.secretKey, settings.secretKey)
  assert.match(again.warnings.join(), /chmod 600/)
})

test('settings: a kept secret that SECRET_KEY puts out of use is a warning until it is the previous one', (t) => {
  const directory = temporaryDirectory(t)
  const { settings } = loadSettings({ env: {}, directory })
  const warningsOf = (env: Env) => loadSettings({ env, directory }).warnings
  assert.match(warningsOf({ SECRET_KEY: SECRET }).join(), /set it as SECRET_KEY_PREVIOUS/)
  assert.deepEqual(warningsOf({ SECRET_KEY: SECRET, SECRET_KEY_PREVIOUS: settings.secretKey }), [])
  assert.deepEqual(warningsOf({ SECRET_KEY: settings.secretKey }), [])
  assert.throws(
    () => warningsOf({ SECRET_KEY_PREVIOUS: settings.secretKey }),
    /SECRET_KEY_PREVIOUS: it is the same/,
  )
  writeFileSync(join(directory, 'data/postern.db.secret-key'), 'broken')
  assert.deepEqual(warningsOf({ SECRET_KEY: SECRET }), [])
})

test('settings: a damaged kept secret is an error that names the file, not a reason for a new one', (t) => {
  const directory = temporaryDirectory(t)
  const file = join(directory, 'app.db.secret-key')
  for (const content of [
    '',
    '\n',
    'short',
    SECRET,
    'a'.repeat(43),
    `${generateSecretKey()} x`,
    '\u0000'.repeat(43),
  ]) {
    writeFileSync(file, content)
    assert.throws(
      () => loadSettings({ env: { DATABASE_URL: 'sqlite:///app.db' }, directory }),
      (error: unknown) => {
        assert.ok(error instanceof StartupError)
        assert.ok(error.message.startsWith(`${file}: this holds no proper secret key`))
        return content.trim() === '' || !error.message.includes(content)
      },
    )
    assert.equal(readFileSync(file, 'utf8'), content)
  }
  rmSync(file)
  mkdirSync(file)
  assert.throws(
    () => loadSettings({ env: { DATABASE_URL: 'sqlite:///app.db' }, directory }),
    /cannot be read \(EISDIR\)/,
  )
})

test('settings: where no secret can be kept, the error says to set one', (t) => {
  const directory = temporaryDirectory(t)
  symlinkSync(join(directory, 'missing/missing'), join(directory, 'data'))
  assert.throws(() => loadSettings({ env: {}, directory }), {
    name: 'StartupError',
    message: /postern\.db\.secret-key: no secret key can be kept there \(E[A-Z]+\); set SECRET_KEY instead/,
  })
})

const LOADER = `
  import { loadSettings } from ${JSON.stringify(new URL('../../../src/core/settings.ts', import.meta.url).href)}
  process.stdout.write('ready ')
  process.stdin.once('data', () => {
    const { settings, warnings } = loadSettings({ env: {} })
    process.stdout.write(JSON.stringify([settings.secretKey, warnings]))
    process.stdin.destroy()
  })
`

/** A process that loads the settings when told to. */
function startLoader(directory: string) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', LOADER], {
    cwd: directory,
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 30_000,
  })
  child.stdout.setEncoding('utf8')
  const output = child.stdout[Symbol.asyncIterator]()
  return {
    ready: () => output.next(),
    load: async (): Promise<unknown> => {
      child.stdin.write('go')
      return JSON.parse(String((await output.next()).value))
    },
  }
}

test('settings: five processes starting at once agree on one generated secret', {
  timeout: 60_000,
}, async (t) => {
  const directory = temporaryDirectory(t)
  const loaders = Array.from({ length: 5 }, () => startLoader(directory))
  await Promise.all(loaders.map((loader) => loader.ready()))
  const results = await Promise.all(loaders.map((loader) => loader.load()))
  const kept = readFileSync(join(directory, 'data/postern.db.secret-key'), 'utf8').trim()
  for (const result of results) assert.deepEqual(result, [kept, []])
  assert.deepEqual(readdirSync(join(directory, 'data')), ['postern.db.secret-key'])
})
