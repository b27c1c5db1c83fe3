import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Finding } from '../../src/doctor/check.ts'
import { DESCRIPTIONS } from '../../src/doctor/examine.ts'
import { runCli, runOnTerminal, withoutTerminal } from '../support/cli.ts'
import { readProjectFile, section, tableRows } from '../support/documents.ts'
import { SECRET_KEY } from '../support/secret-key.ts'

const WEAK = { ALGORITHM: 'HS256' }
const WRONG = { RATE_LIMITS: 'false' }

describe('postern doctor', { concurrency: 2 }, () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-doctor-cli-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('exit code: 0 with warnings, 1 with an error, with --strict 1 with a warning', async () => {
    const empty = join(folder, 'empty')
    await mkdir(empty)
    for (const [args, env, expected] of [
      [[], WEAK, 0],
      [['--strict'], WEAK, 1],
      [[], WRONG, 1],
      [['--json'], WEAK, 0],
      [['--json', '--strict'], WEAK, 1],
    ] as const) {
      const { code, stdout, stderr } = await runCli(['doctor', ...args], { env, folder: empty })
      assert.deepEqual([code, stderr], [expected, ''], args.join(' '))
      const isOk = expected === 0
      if (args.some((arg) => arg === '--json')) assert.equal(JSON.parse(stdout).ok, isOk)
    }
    assert.deepEqual(await readdir(empty), [])
  })

  it('for people: each group with how many there are, and of what is not well also what, why and how to mend it', async () => {
    const { stdout } = await runCli(['doctor'], { env: { ...WRONG, ...WEAK }, folder })
    const [settings = ''] = stdout.split(/^files/m)
    assert.equal(
      settings,
      `settings     1 error, 1 warning, 16 ok
  error  RATE_LIMITS is false.
    Why:  Passwords can be guessed without limit.
    Mend: Remove RATE_LIMITS, or set it to true; false is for load tests.  [settings.rate_limits]
  warning  ALGORITHM is HS256.
    Why:  Every API that verifies access tokens has the key that makes them.
    Mend: Set ALGORITHM to ES256 or EdDSA, and let APIs use the public keys.  [settings.algorithm]
`,
    )
    assert.match(stdout, /\n\n1 error, \d+ warnings?, 2 info, \d+ ok\n$/)
  })

  it('--json: every check that was made, with why and how to mend it where it found something', async () => {
    const { stdout } = await runCli(['doctor', '--json'], { env: WEAK, folder })
    const { findings }: { findings: Finding[] } = JSON.parse(stdout)
    assert.deepEqual(
      findings.find(({ check }) => check === 'settings.rate_limits'),
      { check: 'settings.rate_limits', level: 'ok' },
    )
    for (const { check, level, what, why, mend } of findings) {
      const known = DESCRIPTIONS.find(({ id }) => id === check)
      const isOk = level === 'ok'
      assert.deepEqual([why, mend], isOk ? [undefined, undefined] : [known?.why, known?.mend], check)
      assert.equal(typeof what, isOk ? 'undefined' : 'string', check)
    }
  })

  it('settings that are not valid: each is named as the server does, and the rest is looked at', async () => {
    const { code, stdout } = await runCli(['doctor', '--json'], {
      env: { PORT: 'many', SECRET_KEY: 'canary', CAPTCHA_SECRET: 'canary' },
      folder,
    })
    const { ok, findings }: { ok: boolean; findings: Finding[] } = JSON.parse(stdout)
    assert.deepEqual([code, ok], [1, false])
    const invalid = findings.filter(({ check }) => check === 'settings.valid')
    assert.deepEqual(
      invalid.map(({ what }) => what?.split(':')[0]),
      ['PORT', 'SECRET_KEY', 'CAPTCHA_VERIFY_URL'],
    )
    assert.ok(findings.some(({ check }) => check === 'machine.node'))
    assert.ok(
      findings.some(({ what }) => /^Not looked at: secret, .*; the settings are not valid$/.test(what ?? '')),
    )
    assert.doesNotMatch(stdout, /canary/)
  })

  it('no secret is ever shown, whatever is wrong with it or with what it is for', async () => {
    const canary = 'cAnArY-0bT5nZ2rL7wY4mD9sF6hJ1cP'
    const password = encodeURIComponent(`${canary}/?#`)
    const file = join(folder, 'database-url')
    await writeFile(file, `postgres://ada:${password}@127.0.0.1:1/none`, { mode: 0o666 })
    const common = {
      SECRET_KEY: `${canary}-current`,
      SECRET_KEY_PREVIOUS: `${canary}-previous`,
      CAPTCHA_VERIFY_URL: 'http://127.0.0.1:9/siteverify',
      CAPTCHA_SECRET: canary,
      RATE_LIMIT_URL: `redis://ada:${password}@127.0.0.1:2`,
      SMTP_URL: `smtp://ada:${password}@127.0.0.1:2`,
      PUBLIC_URL: 'https://127.0.0.1:3',
    }
    const environments = [
      { ...common, DATABASE_URL_FILE: file },
      { ...common, DATABASE_URL: `postgres://${password}@127.0.0.1:1/none` },
      { ...common, DATABASE_URL_FILE: canary },
      { ...common, DATABASE_URL: `mysql://ada:${password}@127.0.0.1/none` },
      { ...common, RATE_LIMIT_URL: `http://ada:${password}@127.0.0.1` },
      { ...common, SMTP_URL: `smtp://${password}@127.0.0.1:2` },
      { ...common, SMTP_URL: `http://ada:${password}@127.0.0.1` },
      { ...common, SMTP_URL: `smtp://ada:${password}@127.0.0.1/path?secret=${canary}` },
      { ...common, CAPTCHA_SECRET: `${canary} ${canary}` },
      { ...common, SECRET_KEY: canary.repeat(3) },
    ]
    for (const env of environments) {
      const { stdout, stderr } = await runCli(['doctor'], { env, folder })
      assert.match(stdout, /error/)
      assert.doesNotMatch(stdout + stderr, /canary/i)
    }
  })

  it('colours are for terminals', { skip: withoutTerminal }, async () => {
    const env = { ...WRONG, SECRET_KEY }
    const onTerminal = await runOnTerminal(['doctor'], [], { ...env, TERM: 'xterm-256color' })
    assert.ok(onTerminal.output.includes('\u001b[31merror\u001b[39m'))
    const { stdout } = await runCli(['doctor'], { env, folder })
    assert.ok(!stdout.includes('\u001b'))
  })
})

it('docs/doctor.md: the table has every check with its level, why and how to mend it, and no other', () => {
  const rows = tableRows(section(readProjectFile('docs/doctor.md'), 'What it looks for'))
  assert.deepEqual(
    rows,
    DESCRIPTIONS.map(({ id, level, why, mend }) => [`\`${id}\``, level, why, mend]),
  )
})
