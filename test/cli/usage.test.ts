import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { isNodeSupported } from '../../bin/node-version.js'
import { createProgram } from '../../src/cli/program.ts'
import { deriveKey } from '../../src/core/security/secrets.ts'
import { VERSION } from '../../src/core/version.ts'
import { runCli } from '../support/cli.ts'
import { SECRET_KEY } from '../support/secret-key.ts'

const LAUNCHER = resolve(import.meta.dirname, '../../bin/postern.js')
const COMMANDS = [
  [],
  ['serve'],
  ['migrate'],
  ['doctor'],
  ['users'],
  ['users', 'create'],
  ['users', 'list'],
  ['users', 'disable'],
  ['users', 'enable'],
  ['users', 'promote'],
  ['users', 'demote'],
  ['users', 'unlock'],
  ['users', 'remove-password'],
  ['users', 'import'],
  ['sessions'],
  ['sessions', 'end'],
  ['keys'],
  ['keys', 'list'],
  ['keys', 'rotate'],
  ['keys', 'revoke'],
  ['keys', 'import'],
  ['service-keys'],
  ['service-keys', 'create'],
  ['service-keys', 'list'],
  ['service-keys', 'revoke'],
  ['audit'],
  ['audit', 'verify'],
  ['audit', 'export'],
  ['email'],
  ['email', 'preview'],
  ['secret'],
  ['secret', 'generate'],
  ['secret', 'show-hs256'],
]
const GROUPS = ['users', 'sessions', 'keys', 'service-keys', 'audit', 'email', 'secret']

describe('postern: usage', { concurrency: 2 }, () => {
  it('every command has --help, and every one that does something an example', () => {
    for (const command of COMMANDS) {
      const help = parseInProcess([...command, '--help'])
      assert.match(help, new RegExp(`^Usage: ${['postern', ...command].join(' ')}`))
      const isGroup = GROUPS.includes(command.join(' '))
      if (!isGroup) assert.match(help, /\nExamples:\n/, command.join(' '))
    }
  })

  it('--version works after every command', () => {
    for (const command of COMMANDS) assert.equal(parseInProcess([...command, '--version']), `${VERSION}\n`)
  })

  it('--help and --version go to standard output, exit code 0, whatever the settings', async () => {
    const env = { PORT: 'many' }
    const help = await runCli(['users', '--help'], { env })
    assert.deepEqual([help.code, help.stderr], [0, ''])
    assert.match(help.stdout, /^Usage: postern users/)
    assert.deepEqual(await runCli(['--version'], { env }), { code: 0, stdout: `${VERSION}\n`, stderr: '' })
  })

  for (const [args, message] of [
    [['usres'], "unknown command 'usres' (Did you mean users?)"],
    [['users', 'lst'], "unknown command 'lst' (Did you mean list?)"],
    [['users', 'list', '--jsn'], "unknown option '--jsn' (Did you mean --json?)"],
    [['users', 'disable'], "missing required argument 'name'"],
    [['users', 'import'], "required option '--sqlite <file>' not specified"],
    [['sessions', 'end'], 'expected one of --all and --user NAME'],
    [['sessions', 'end', '--all', '--user', 'ada'], 'expected one of --all and --user NAME'],
    [['users', 'create'], '--username and --email are needed when standard input is no terminal'],
    [['serve', 'now'], "too many arguments for 'serve'. Expected 0 arguments but got 1: now."],
  ] as const) {
    it(`wrong usage is one line and exit code 2: postern ${args.join(' ')}`, async () => {
      assert.deepEqual(await runCli(args), { code: 2, stdout: '', stderr: `postern: ${message}\n` })
    })
  }

  it('without a command: help on standard error, exit code 2', async () => {
    const { code, stdout, stderr } = await runCli([])
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /^Usage: postern/)
  })

  it('a bad setting is told without a stack, exit code 1', async () => {
    for (const command of [['serve'], ['sessions', 'end', '--all']]) {
      const { code, stdout, stderr } = await runCli(command, { env: { PORT: 'many' } })
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(stderr, /^postern: Invalid settings:\n {2}PORT: 'many' is not valid; expected .*\n$/)
    }
  })

  it('a database that does not answer is told in one line, exit code 1', async () => {
    const env = { DATABASE_URL: 'postgres://ada:sesame@127.0.0.1:1/none', SECRET_KEY }
    for (const command of [['serve'], ['migrate', '--check']]) {
      const { code, stderr } = await runCli(command, { env })
      assert.equal(code, 1)
      assert.match(
        stderr,
        /^postern: PostgreSQL database "none" at 127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED.*\n$/,
      )
      assert.doesNotMatch(stderr, /sesame/)
    }
  })

  it('no password is taken from the command line', async () => {
    const args = [
      'users',
      'create',
      '--username',
      'ada',
      '--email',
      'ada@example.com',
      '--password',
      'sesame',
    ]
    const { code, stderr } = await runCli(args)
    assert.deepEqual([code, stderr], [2, "postern: unknown option '--password'\n"])
  })
})

describe('postern secret', () => {
  const folders: string[] = []
  const makeFolder = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-secret-'))
    folders.push(folder)
    return folder
  }
  after(async () => {
    for (const folder of folders) await rm(folder, { recursive: true })
  })

  it('generate: a new secret that SECRET_KEY takes, and nothing is touched, whatever the settings', async () => {
    const folder = await makeFolder()
    const runs = [await runCli(['secret', 'generate'], { folder, env: { PORT: 'many' } })]
    runs.push(await runCli(['secret', 'generate'], { folder }))
    for (const { code, stdout, stderr } of runs) {
      assert.deepEqual([code, stderr], [0, ''])
      assert.match(stdout, /^[\w-]{43}\n$/)
    }
    assert.notEqual(runs[0]?.stdout, runs[1]?.stdout)
    assert.deepEqual(await readdir(folder), [])
  })

  it('show-hs256: the derived key in base64url on standard output, never SECRET_KEY', async () => {
    const env = { ALGORITHM: 'HS256', SECRET_KEY }
    const { code, stdout, stderr } = await runCli(['secret', 'show-hs256'], { env })
    assert.deepEqual([code, stdout], [0, `${deriveKey(SECRET_KEY, 'access-hs256').toString('base64url')}\n`])
    assert.doesNotMatch(stdout + stderr, new RegExp(SECRET_KEY))
  })

  it('show-hs256: the secret kept beside the database counts, and none is made', async () => {
    const folder = await makeFolder()
    const env = { ALGORITHM: 'HS256', DATABASE_URL: 'sqlite:///./postern.db' }
    const before = await runCli(['secret', 'show-hs256'], { folder, env })
    assert.equal(before.code, 1)
    assert.match(before.stderr, /^postern: There is no secret key yet/)
    assert.deepEqual(await readdir(folder), [])
    await writeFile(join(folder, 'postern.db.secret-key'), `${SECRET_KEY}zzz\n`, { mode: 0o600 })
    const { stdout } = await runCli(['secret', 'show-hs256'], { folder, env })
    assert.equal(stdout, `${deriveKey(`${SECRET_KEY}zzz`, 'access-hs256').toString('base64url')}\n`)
  })

  it('show-hs256: refuses under another algorithm, and says what APIs use then', async () => {
    const { code, stdout, stderr } = await runCli(['secret', 'show-hs256'], { env: { SECRET_KEY } })
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^postern: ALGORITHM is ES256, .*\/\.well-known\/jwks\.json\n$/)
  })
})

describe('the launcher', () => {
  it('knows which versions of Node.js it runs on', () => {
    for (const version of ['24.16.0', '24.99.1', '26.0.0', '27.1.0'])
      assert.ok(isNodeSupported(version), version)
    for (const version of ['18.20.0', '20.20.2', '22.30.0', '24.15.9', '25.9.0']) {
      assert.ok(!isNodeSupported(version), version)
    }
  })

  it('an older Node.js gets one clear line and exit code 1', async () => {
    const old = findOldNode()
    // Where only a current Node is installed, the launcher's own text is run under a pretended version.
    const launcher = (await readFile(LAUNCHER, 'utf8')).replace(/^#!.*\n/, '')
    const pretended = `Object.defineProperty(process.versions, 'node', { value: '20.20.2' });\n`
    const program =
      pretended +
      launcher.replaceAll(/'\.\/(node-version\.js)'/g, `'${new URL('../../bin/', import.meta.url)}$1'`)
    const { status, stdout, stderr } = old
      ? spawnSync(old, [LAUNCHER, '--version'], { encoding: 'utf8' })
      : spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' })
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(stderr, /^Postern needs Node\.js 24\.16 or later .*; this is \d+\.\d+\.\d+\.\n$/)
  })
})

/** What a command that only tells something writes to standard output. */
function parseInProcess(args: string[]): string {
  const program = createProgram()
  let output = ''
  for (const command of [
    program,
    ...program.commands,
    ...program.commands.flatMap(({ commands }) => commands),
  ]) {
    command.configureOutput({
      writeOut: (text) => {
        output += text
      },
    })
  }
  assert.throws(() => program.parse(args, { from: 'user' }), { exitCode: 0 })
  return output
}

/** A Node on the PATH that is too old, if there is one. */
function findOldNode(): string | undefined {
  const candidates = (process.env.PATH ?? '').split(':').map((folder) => join(folder, 'node'))
  return candidates.find((file) => {
    const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' })
    return /^v\d+\.\d+\.\d+\s*$/.test(stdout ?? '') && !isNodeSupported(stdout.trim().slice(1))
  })
}
