import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { DAY, HOUR, MINUTE, SECOND } from './clock.ts'
import { StartupError } from './problems.ts'
import { defaultPublicUrl, type TrustedProxies, travelsInTheClear } from './settings/addresses.ts'
import { createEmailSettings, crossCheckEmail, type EmailSettings } from './settings/email.ts'
import { type KeptSecretKey, obtainKeptSecretKey, warnOfUnusedSecretKey } from './settings/kept-secret-key.ts'
import {
  createMetricsSettings,
  createTracingSettings,
  crossCheckMetrics,
  type MetricsSettings,
  type TracingSettings,
  warnOfOpenMetrics,
} from './settings/monitoring.ts'
import { collectError, type Environment, type RawSettings, readRawSettings } from './settings/read.ts'
import { InvalidValue } from './settings/values.ts'
import {
  fileVariable,
  VARIABLE_NAMES,
  VARIABLES,
  type Values,
  type VariableName,
} from './settings/variables.ts'

const MEBIBYTE = 2 ** 20

export type Settings = Readonly<{
  host: string
  /** 0 takes any free port. */
  port: number
  /** Processes that serve; what stands below is for all of them together. */
  workers: number
  logLevel: Values['LOG_LEVEL']
  /** Origin and perhaps a path, without a slash at the end. */
  publicUrl: string
  projectName: string
  apiPrefix: string
  secretKey: string
  secretKeyPrevious: string | undefined
  algorithm: Values['ALGORITHM']
  /** 0: by command alone. */
  keyRotationMs: number
  accessTokenTtlMs: number
  /** How long a session lasts without being used. */
  refreshTokenTtlMs: number
  sessionMaxAgeMs: number
  reuseWindowMs: number
  /** 0 turns recovery off. */
  recoveryMs: number
  sessionLimit: number
  passwordMinLength: number
  passwordContextWords: readonly string[]
  /** With a slash at the end; undefined where no service is asked. */
  pwnedPasswordsUrl: string | undefined
  /** How many proxies before this server are believed, or which; none when empty. */
  trustedProxies: TrustedProxies
  rateLimits: boolean
  /** Redis or Valkey; undefined for PostgreSQL, or memory with SQLite. */
  rateLimitUrl: string | undefined
  /** Undefined for none. */
  captcha: Readonly<{ verifyUrl: string; secret: string }> | undefined
  hashConcurrency: number
  tokenCacheBytes: number
  auditRetentionMs: number
  corsOrigins: readonly string[]
  database: Readonly<
    | { kind: 'sqlite' /** An absolute path. */; file: string }
    | { kind: 'postgres'; url: string; poolSize: number; preparedStatements: boolean }
  >
  email: EmailSettings
  /** Where /metrics is; undefined: nowhere. */
  metrics: MetricsSettings | undefined
  /** Undefined: nothing is traced. */
  tracing: TracingSettings | undefined
  /** Every variable as it was given, for the audit log: of secrets only whether they are set. */
  described: Readonly<Record<string, string>>
}>

/**
 * How long after a refresh its token may be presented again, by who lost the reply. A refresh at the very end of a
 * token's life can be lost as well, so the token is read that much longer, and a second for the cut to whole ones:
 * whether an unused session has ended is for its row to say.
 */
export const latestRetryMs = ({
  reuseWindowMs,
  recoveryMs,
}: Pick<Settings, 'reuseWindowMs' | 'recoveryMs'>) => Math.max(reuseWindowMs, recoveryMs) + SECOND

/** Settings as far as they are known without writing: a secret that is yet to be generated is undefined. */
export type CheckedSettings = Omit<Settings, 'secretKey'> & Readonly<{ secretKey: string | undefined }>

export type SettingsOptions = {
  env?: Environment
  /** Holds `.env`; relative paths start here. */
  directory?: string
}

type Loaded<T> = { settings: T; warnings: string[] }

/** Every variable for people: README and `.env.example` are checked against this. */
export const SETTINGS: readonly Readonly<{ name: VariableName; default: string; meaning: string }>[] =
  VARIABLE_NAMES.map((name) => ({
    name,
    default: VARIABLES[name].default ?? '',
    meaning: VARIABLES[name].meaning,
  }))

/**
 * The settings to run with. On SQLite a missing SECRET_KEY is generated once and kept beside the database;
 * commands that must not write use `checkSettings`.
 * @throws StartupError that names every invalid variable, one on each line
 */
export function loadSettings(options: SettingsOptions = {}): Loaded<Settings> {
  const { settings, warnings } = checkSettings(options)
  const secret = settleSecretKey(settings)
  return {
    settings: Object.freeze({ ...settings, secretKey: secret.secretKey }),
    warnings: [...warnings, ...secret.warnings],
  }
}

/**
 * The settings as they can be told without writing.
 * @throws StartupError that names every invalid variable, one on each line
 */
export function checkSettings(options: SettingsOptions = {}): Loaded<CheckedSettings> {
  const { settings, errors, warnings } = inspectSettings(options)
  if (!settings) throw new StartupError(['Invalid settings:', ...errors].join('\n  '))
  return { settings, warnings: [...warnings, ...warnOf(settings)] }
}

export type InspectedSettings = Readonly<{
  /** Undefined while there are errors. */
  settings: CheckedSettings | undefined
  /** One for each invalid variable. */
  errors: readonly string[]
  /** About `.env` itself. */
  warnings: readonly string[]
  /** The variables that are set, and the files that they came from. */
  given: RawSettings['given']
  files: RawSettings['files']
}>

/** What is so and what is wrong, without writing or throwing. */
export function inspectSettings({
  env = process.env,
  directory = process.cwd(),
}: SettingsOptions = {}): InspectedSettings {
  const raw = readRawSettings(env, directory)
  const values = parseValues(raw)
  const { errors, warnings, given, files } = raw
  const settings =
    errors.length === 0
      ? Object.freeze({ ...createSettings(values, directory), described: describeSettings(raw) })
      : undefined
  return { settings, errors, warnings, given, files }
}

/** What the texts stand for; where errors are added, the values are incomplete. */
function parseValues({ values: texts, given, errors }: RawSettings): Values {
  const values: Partial<Record<VariableName, unknown>> = {}
  for (const name of VARIABLE_NAMES) {
    const { text, label } = texts.get(name) ?? { text: VARIABLES[name].default, label: name }
    if (text !== undefined) values[name] = collectError(errors, () => parseValue(name, text, label))
  }
  const complete = values as Values
  errors.push(...crossCheck(complete, given))
  return complete
}

function parseValue(name: VariableName, text: string, label: string): unknown {
  const { parse, expected } = VARIABLES[name]
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error
    throw new InvalidValue(`${label}: ${error.message}; expected ${expected}`)
  }
}

function crossCheck(values: Values, given: RawSettings['given']): string[] {
  const {
    SECRET_KEY: current,
    SECRET_KEY_PREVIOUS: previous,
    DATABASE_URL: database,
    WORKERS: workers,
  } = values
  const errors: string[] = []
  if (database?.kind === 'postgres' && !given.has('SECRET_KEY')) {
    const { expected } = VARIABLES.SECRET_KEY
    errors.push(
      `SECRET_KEY: it is not set, and with PostgreSQL every node needs the same; expected ${expected}`,
    )
  }
  if (database?.kind === 'sqlite' && workers > 1) {
    errors.push(
      `WORKERS: it is ${workers}, and SQLite is for one process; expected 1, or PostgreSQL in DATABASE_URL`,
    )
  }
  if (current !== undefined && current === previous) errors.push(SAME_SECRETS)
  errors.push(...crossCheckMetrics(values), ...crossCheckEmail(values))
  if (given.has('CAPTCHA_VERIFY_URL') !== given.has('CAPTCHA_SECRET')) {
    const missing = given.has('CAPTCHA_SECRET') ? 'CAPTCHA_VERIFY_URL' : 'CAPTCHA_SECRET'
    errors.push(
      `${missing}: it is not set, and a captcha needs both; expected ${VARIABLES[missing].expected}`,
    )
  }
  return errors
}

const SAME_SECRETS = `SECRET_KEY_PREVIOUS: it is the same as SECRET_KEY; expected ${VARIABLES.SECRET_KEY_PREVIOUS.expected}`

function describeSettings({ values: texts }: RawSettings): CheckedSettings['described'] {
  const described = VARIABLE_NAMES.map((name) => {
    const text = texts.get(name)?.text
    const isSecret = fileVariable(name) !== undefined
    return [
      name,
      isSecret ? (text === undefined ? 'not set' : 'set') : (text ?? VARIABLES[name].default ?? ''),
    ]
  })
  return Object.freeze(Object.fromEntries(described))
}

function createSettings(values: Values, directory: string): Omit<CheckedSettings, 'described'> {
  const publicUrl = values.PUBLIC_URL ?? defaultPublicUrl(values.HOST, values.PORT)
  return {
    host: values.HOST,
    port: values.PORT,
    workers: values.WORKERS,
    logLevel: values.LOG_LEVEL,
    publicUrl,
    projectName: values.PROJECT_NAME,
    apiPrefix: values.API_V1_STR,
    secretKey: values.SECRET_KEY,
    secretKeyPrevious: values.SECRET_KEY_PREVIOUS,
    algorithm: values.ALGORITHM,
    keyRotationMs: values.KEY_ROTATION_DAYS * DAY,
    accessTokenTtlMs: values.ACCESS_TOKEN_EXPIRE_MINUTES * MINUTE,
    refreshTokenTtlMs: values.REFRESH_TOKEN_EXPIRE_DAYS * DAY,
    sessionMaxAgeMs: values.SESSION_MAX_AGE_DAYS * DAY,
    reuseWindowMs: values.REFRESH_REUSE_WINDOW_SECONDS * SECOND,
    recoveryMs: values.REFRESH_RECOVERY_HOURS * HOUR,
    sessionLimit: values.SESSION_LIMIT,
    passwordMinLength: values.PASSWORD_MIN_LENGTH,
    passwordContextWords: Object.freeze(values.PASSWORD_CONTEXT_WORDS),
    pwnedPasswordsUrl: values.PWNED_PASSWORDS_URL,
    trustedProxies: Object.freeze(values.TRUSTED_PROXIES),
    rateLimits: values.RATE_LIMITS,
    rateLimitUrl: values.RATE_LIMIT_URL,
    captcha: createCaptchaSettings(values),
    hashConcurrency: values.HASH_CONCURRENCY ?? Math.min(availableParallelism(), 64),
    tokenCacheBytes: values.TOKEN_CACHE_MB * MEBIBYTE,
    auditRetentionMs: values.AUDIT_RETENTION_DAYS * DAY,
    corsOrigins: Object.freeze(values.CORS_ORIGINS),
    database: Object.freeze(createDatabaseSettings(values, directory)),
    email: Object.freeze(createEmailSettings(values, publicUrl, directory)),
    metrics: Object.freeze(createMetricsSettings(values)),
    tracing: Object.freeze(createTracingSettings(values)),
  }
}

function createCaptchaSettings({ CAPTCHA_VERIFY_URL: verifyUrl, CAPTCHA_SECRET: secret }: Values) {
  return verifyUrl !== undefined && secret !== undefined ? Object.freeze({ verifyUrl, secret }) : undefined
}

function createDatabaseSettings(values: Values, directory: string): Settings['database'] {
  const location = values.DATABASE_URL
  if (location.kind === 'sqlite') return { kind: 'sqlite', file: resolve(directory, location.file) }
  return {
    ...location,
    poolSize: values.DATABASE_POOL_SIZE,
    preparedStatements: values.DATABASE_PREPARED_STATEMENTS,
  }
}

function warnOf(settings: CheckedSettings): string[] {
  const { publicUrl, secretKey, secretKeyPrevious, database, rateLimits, metrics } = settings
  const warnings: string[] = []
  if (!rateLimits) warnings.push('RATE_LIMITS: it is false, so that passwords can be guessed without limit')
  if (travelsInTheClear(publicUrl)) {
    warnings.push(`PUBLIC_URL: ${publicUrl} is not https; passwords and tokens can be read on the way`)
  }
  warnings.push(...warnOfOpenMetrics(metrics))
  if (secretKey !== undefined && database.kind === 'sqlite') {
    warnings.push(...warnOfUnusedSecretKey(database.file, [secretKey, secretKeyPrevious]))
  }
  return warnings
}

/** The secret that is set, else the one kept beside the database. */
function settleSecretKey({ secretKey, secretKeyPrevious, database }: CheckedSettings): KeptSecretKey {
  if (secretKey !== undefined) return { secretKey, warnings: [] }
  if (database.kind !== 'sqlite') throw new TypeError('without SECRET_KEY only SQLite passes the check')
  const kept = obtainKeptSecretKey(database.file)
  if (kept.secretKey === secretKeyPrevious) throw new StartupError(`Invalid settings:\n  ${SAME_SECRETS}`)
  return kept
}
