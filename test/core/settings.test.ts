import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseEnv, promisify } from 'node:util'
import { fileVariable, VARIABLE_NAMES } from '../../src/core/settings/variables.ts'
import { checkSettings, inspectSettings, loadSettings, SETTINGS } from '../../src/core/settings.ts'
import {
  errorOf,
  linesOf,
  OTHER_SECRET,
  POSTGRES,
  SECRET,
  settingsOf,
  temporaryDirectory,
} from './settings/cases.ts'

test('settings: nothing set gives the documented defaults', () => {
  const { settings, warnings } = checkSettings({ env: {}, directory: '/nowhere' })
  const { described, ...rest } = settings
  assert.deepEqual(Object.keys(described), VARIABLE_NAMES)
  assert.deepEqual(rest, {
    host: '127.0.0.1',
    port: 8000,
    workers: 1,
    logLevel: 'info',
    publicUrl: 'http://127.0.0.1:8000',
    projectName: 'Postern',
    apiPrefix: '/api/v1',
    secretKey: undefined,
    secretKeyPrevious: undefined,
    algorithm: 'ES256',
    keyRotationMs: 30 * 86_400_000,
    accessTokenTtlMs: 30 * 60_000,
    refreshTokenTtlMs: 7 * 86_400_000,
    sessionMaxAgeMs: 90 * 86_400_000,
    reuseWindowMs: 30_000,
    recoveryMs: 168 * 3_600_000,
    sessionLimit: 100,
    passwordMinLength: 15,
    passwordContextWords: [],
    pwnedPasswordsUrl: undefined,
    trustedProxies: [],
    rateLimits: true,
    rateLimitUrl: undefined,
    captcha: undefined,
    hashConcurrency: Math.min(availableParallelism(), 64),
    tokenCacheBytes: 32 * 2 ** 20,
    auditRetentionMs: 365 * 86_400_000,
    corsOrigins: [],
    database: { kind: 'sqlite', file: '/nowhere/data/postern.db' },
    email: {
      transport: { kind: 'mailbox' },
      from: { name: 'Postern', address: 'no-reply@127.0.0.1' },
      requireVerification: false,
      magicLinks: false,
      notices: [
        'new_sign_in',
        'password_changed',
        'username_changed',
        'email_changed',
        'refresh_token_reused',
        'failed_sign_ins',
      ],
      linkUrls: {},
      templatesDirectory: undefined,
      brandColor: '#1d4ed8',
      brandLogoUrl: undefined,
    },
    metrics: undefined,
    tracing: undefined,
  })
  assert.deepEqual(warnings, [])
})

test('settings: nobody can change them after loading', () => {
  const settings = settingsOf({ CORS_ORIGINS: 'https://a.example', PASSWORD_CONTEXT_WORDS: 'acme' })
  const { database, corsOrigins, passwordContextWords } = settings
  for (const value of [settings, database, corsOrigins, passwordContextWords]) {
    assert.ok(Object.isFrozen(value))
  }
})

test('settings: an empty variable counts as unset', () => {
  assert.equal(settingsOf({ PORT: '', SECRET_KEY_FILE: '' }).port, 8000)
})

const INTEGERS = [
  ['PORT', 'port', 0, 65_535, 1],
  ['WORKERS', 'workers', 1, 64, 1],
  ['KEY_ROTATION_DAYS', 'keyRotationMs', 0, 3650, 86_400_000],
  ['ACCESS_TOKEN_EXPIRE_MINUTES', 'accessTokenTtlMs', 1, 60, 60_000],
  ['REFRESH_TOKEN_EXPIRE_DAYS', 'refreshTokenTtlMs', 1, 365, 86_400_000],
  ['SESSION_MAX_AGE_DAYS', 'sessionMaxAgeMs', 1, 3650, 86_400_000],
  ['REFRESH_REUSE_WINDOW_SECONDS', 'reuseWindowMs', 0, 300, 1000],
  ['REFRESH_RECOVERY_HOURS', 'recoveryMs', 0, 8760, 3_600_000],
  ['SESSION_LIMIT', 'sessionLimit', 1, 1000, 1],
  ['PASSWORD_MIN_LENGTH', 'passwordMinLength', 8, 64, 1],
  ['HASH_CONCURRENCY', 'hashConcurrency', 1, 64, 1],
  ['TOKEN_CACHE_MB', 'tokenCacheBytes', 1, 1024, 2 ** 20],
  ['AUDIT_RETENTION_DAYS', 'auditRetentionMs', 1, 3650, 86_400_000],
] as const

for (const [name, field, minimum, maximum, unit] of INTEGERS) {
  test(`settings: ${name} is a whole number from ${minimum} to ${maximum}`, () => {
    const within = (value: number) => settingsOf({ DATABASE_URL: POSTGRES, [name]: String(value) })[field]
    assert.equal(within(minimum), minimum * unit)
    assert.equal(within(maximum), maximum * unit)
    for (const wrong of [
      minimum - 1,
      maximum + 1,
      '1.5',
      '1e1',
      '0x10',
      '+9',
      ' 9',
      '9 ',
      'nine',
      '9'.repeat(400),
    ]) {
      const message = errorOf({ [name]: String(wrong) })
      assert.match(message, new RegExp(`^  ${name}: .* a whole number from ${minimum} to ${maximum}$`, 'm'))
    }
  })
}

test('settings: choices are taken exactly as written, and the error lists them', () => {
  for (const algorithm of ['ES256', 'EdDSA', 'RS256', 'PS256', 'HS256']) {
    assert.equal(settingsOf({ ALGORITHM: algorithm }).algorithm, algorithm)
  }
  for (const level of ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']) {
    assert.equal(settingsOf({ LOG_LEVEL: level }).logLevel, level)
  }
  for (const wrong of ['none', 'es256', 'RS512', 'ES256 ']) {
    assert.match(errorOf({ ALGORITHM: wrong }), /ALGORITHM: '.+' is not valid; expected one of ES256, EdDSA/)
  }
  assert.match(
    errorOf({ LOG_LEVEL: 'verbose' }),
    /LOG_LEVEL: 'verbose' is not valid; expected one of fatal, error/,
  )
})

test('settings: one error names every bad variable, one on each line', () => {
  const message = errorOf({
    PORT: 'x',
    PUBLIC_URL: 'x',
    SECRET_KEY: 'short',
    ALGORITHM: 'none',
    SESSION_LIMIT: '0',
    DATABASE_URL: 'x',
    CORS_ORIGINS: '*',
    SECRET_KEY_PREVIOUS_FILE: 'missing',
  })
  const names = linesOf(message).map((line) => line.trim().split(':')[0])
  assert.deepEqual(names.sort(), [
    'ALGORITHM',
    'CORS_ORIGINS',
    'DATABASE_URL',
    'PORT',
    'PUBLIC_URL',
    'SECRET_KEY',
    'SECRET_KEY_PREVIOUS_FILE',
    'SESSION_LIMIT',
  ])
})

test('settings: no error shows anything of a secret', () => {
  const secrets = VARIABLE_NAMES.filter((name) => fileVariable(name) !== undefined)
  assert.ok(secrets.includes('CAPTCHA_SECRET'))
  for (const name of secrets) {
    for (const text of [
      'canary canary',
      'canary:canary@canary',
      'ftp://canary:canary@canary/canary',
      'canary\n',
    ]) {
      const { errors } = inspectSettings({ env: { [name]: text }, directory: '/nowhere' })
      assert.doesNotMatch(errors.join('\n'), /canary/, name)
    }
  }
})

test('settings: the environment wins over .env, also with the other form of a secret', (t) => {
  const directory = temporaryDirectory(t)
  writeFileSync(join(directory, 'key'), SECRET)
  writeFileSync(join(directory, '.env'), `PORT=1\nSESSION_LIMIT=2\nSECRET_KEY=${OTHER_SECRET}\n`)
  const { settings } = loadSettings({
    env: { PORT: '3', SESSION_LIMIT: '', SECRET_KEY_FILE: 'key' },
    directory,
  })
  assert.equal(settings.port, 3)
  assert.equal(settings.sessionLimit, 2)
  assert.equal(settings.secretKey, SECRET)
})

test('settings: an error in .env says that it is there', (t) => {
  const directory = temporaryDirectory(t)
  writeFileSync(join(directory, '.env'), '\ufeffPORT=x\r\nSECRET_KEY=short\r\n')
  const [port, secret] = linesOf(errorOf({}, directory))
  assert.match(port ?? '', /PORT \(in \.env\): 'x' is not valid/)
  assert.match(secret ?? '', /SECRET_KEY \(in \.env\): the value has 5 bytes/)
})

test('settings: an unreadable .env is an error', (t) => {
  const directory = temporaryDirectory(t)
  mkdirSync(join(directory, '.env'))
  assert.match(errorOf({}, directory), /^ {2}\.env: cannot be read \(EISDIR\)/m)
})

test('settings: an unknown key in .env is a warning, with what was meant; the environment is not searched', (t) => {
  const directory = temporaryDirectory(t)
  writeFileSync(
    join(directory, '.env'),
    'SECRT_KEY=pa55word\nport=1\nPORT_FILE=x\nACCESS_TOKEN_EXPIRE_MINUTE=1\nREDIS_HOSTNAME=pa55word\n',
  )
  const { warnings } = checkSettings({ env: { SECRT_KEY: 'x', PATH: 'x' }, directory })
  assert.deepEqual(warnings.sort(), [
    ".env: 'ACCESS_TOKEN_EXPIRE_MINUTE' is not a setting of Postern; did you mean ACCESS_TOKEN_EXPIRE_MINUTES?",
    ".env: 'PORT_FILE' is not a setting of Postern",
    ".env: 'REDIS_HOSTNAME' is not a setting of Postern",
    ".env: 'SECRT_KEY' is not a setting of Postern; did you mean SECRET_KEY?",
    ".env: 'port' is not a setting of Postern; did you mean PORT?",
  ])
})

test('settings: a line of .env that cannot be read is a warning that does not show it', (t) => {
  const directory = temporaryDirectory(t)
  const lines = [
    "# it's a comment: PORT='",
    '',
    'PROJECT_NAME="one',
    'pa55word',
    'two" # said',
    'PORT: 1',
    'pa55word',
    "HOST='::1'",
  ]
  writeFileSync(join(directory, '.env'), lines.join('\r\n'))
  const { settings, warnings } = checkSettings({ env: { PROJECT_NAME: 'x' }, directory })
  assert.equal(settings.host, '::1')
  assert.deepEqual(warnings, [
    '.env: line 6 is not of the form NAME=value, and has no effect',
    '.env: line 7 is not of the form NAME=value, and has no effect',
  ])
})

test('settings: without options they come from the environment and the working directory', async (t) => {
  const directory = temporaryDirectory(t)
  writeFileSync(join(directory, '.env'), 'SESSION_LIMIT=5')
  const url = new URL('../../src/core/settings.ts', import.meta.url).href
  const script = `const { checkSettings } = await import('${url}'); const { settings } = checkSettings(); console.log(settings.port, settings.sessionLimit)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--eval', script], {
    cwd: directory,
    env: { PORT: '4321' },
    timeout: 30_000,
  })
  assert.equal(stdout, '4321 5\n')
})

test('.env.example documents every setting exactly once, commented out with its default', () => {
  const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
  assert.deepEqual(Object.keys(parseEnv(example)), [])
  const assignments = [...example.matchAll(/^# ([A-Z0-9_]+)=(.*)$/gm)].map(([, name, value]) => [name, value])
  const documented = SETTINGS.map(({ name, default: value }) => [name, value])
  assert.deepEqual(assignments.sort(), documented.sort())
  const prose = example.replaceAll('\n# ', ' ')
  for (const { meaning } of SETTINGS) assert.ok(prose.includes(meaning), meaning)
})

test('.env.example with every line uncommented means the same as no file', (t) => {
  const directory = temporaryDirectory(t)
  const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
  writeFileSync(join(directory, '.env'), example.replace(/^# (?=[A-Z0-9_]+=)/gm, ''))
  const check = () => {
    const { settings, warnings } = checkSettings({ env: {}, directory })
    return { ...settings, described: { ...settings.described, DATABASE_URL: '' }, warnings }
  }
  const uncommented = check()
  rmSync(join(directory, '.env'))
  assert.deepEqual(uncommented, check())
})
