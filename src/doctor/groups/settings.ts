import { availableParallelism } from 'node:os'
import { DAY, MINUTE, SECOND } from '../../core/clock.ts'
import { isLoopback, travelsInTheClear } from '../../core/settings/addresses.ts'
import type { CheckedSettings } from '../../core/settings.ts'
import { byGathering, type Check, defineGroup, Unusable } from '../check.ts'
import type { Scene } from '../scene.ts'

export type SettingsFacts = CheckedSettings & Readonly<{ isPublicUrlSet: boolean; cores: number }>

function gather({ inspected: { errors, settings: valid, given } }: Scene): SettingsFacts {
  if (!valid) throw new Unusable('settings.valid', ...errors)
  return { ...valid, isPublicUrlSet: given.has('PUBLIC_URL'), cores: availableParallelism() }
}

const ADDRESSES: readonly Check<SettingsFacts>[] = [
  {
    id: 'settings.public_url_https',
    level: 'error',
    why: 'Passwords and tokens can be read on the way, and browsers do not keep the refresh cookie',
    mend: 'Put a proxy with TLS in front (docs/deployment.md), and set PUBLIC_URL to its https address',
    find: ({ publicUrl }) => travelsInTheClear(publicUrl) && `PUBLIC_URL is ${publicUrl}, without https`,
  },
  {
    id: 'settings.public_url_set',
    level: 'warning',
    why: 'It is the issuer of every token, and where APIs fetch the keys: they reach no such address',
    mend: 'Set PUBLIC_URL to the address at which clients reach this server',
    find: ({ host, publicUrl, isPublicUrlSet }) =>
      !isPublicUrlSet && !isLoopback(host) && `HOST is ${host}, and PUBLIC_URL is left at ${publicUrl}`,
  },
  {
    id: 'settings.cors_origins',
    level: 'warning',
    why: 'Whoever can change such a page on its way, or run one on a visitor’s machine, can act as the visitor',
    mend: 'Name https origins alone in CORS_ORIGINS',
    find({ corsOrigins, publicUrl }) {
      const plain = corsOrigins.filter((origin) => origin.startsWith('http:'))
      const isAtHome = isLoopback(new URL(publicUrl).hostname)
      return plain.length > 0 && !isAtHome && `CORS_ORIGINS names origins without https: ${plain.join(', ')}`
    },
  },
]

const STRENGTH: readonly Check<SettingsFacts>[] = [
  {
    id: 'settings.rate_limits',
    level: 'error',
    why: 'Passwords can be guessed without limit',
    mend: 'Remove RATE_LIMITS, or set it to true; false is for load tests',
    find: ({ rateLimits }) => !rateLimits && 'RATE_LIMITS is false',
  },
  {
    id: 'settings.password_min_length',
    level: 'warning',
    why: 'A password is the only factor, and then NIST SP 800-63B-4 asks for 15 characters',
    mend: 'Set PASSWORD_MIN_LENGTH to 15 or more; passwords that people have already go on working',
    find: ({ passwordMinLength }) => passwordMinLength < 15 && `PASSWORD_MIN_LENGTH is ${passwordMinLength}`,
  },
  {
    id: 'settings.session_max_age',
    level: 'warning',
    why: 'Who has a session keeps it that long; 90 days is what docs/security.md calls bearable, NIST SP 800-63B-4 recommends 30',
    mend: 'Set SESSION_MAX_AGE_DAYS to 90 or less',
    find: ({ sessionMaxAgeMs }) =>
      sessionMaxAgeMs > 90 * DAY && `SESSION_MAX_AGE_DAYS is ${sessionMaxAgeMs / DAY}`,
  },
  {
    id: 'settings.session_idle',
    level: 'warning',
    why: 'A device that was lost or given away stays signed in that long',
    mend: 'Set REFRESH_TOKEN_EXPIRE_DAYS to 30 or less',
    find: ({ refreshTokenTtlMs }) =>
      refreshTokenTtlMs > 30 * DAY && `REFRESH_TOKEN_EXPIRE_DAYS is ${refreshTokenTtlMs / DAY}`,
  },
  {
    id: 'settings.reuse_window',
    level: 'warning',
    why: 'Within it a thief who has the owner’s address and agent passes for a retry of theirs',
    mend: 'Set REFRESH_REUSE_WINDOW_SECONDS to 60 or less',
    find: ({ reuseWindowMs }) =>
      reuseWindowMs > MINUTE && `REFRESH_REUSE_WINDOW_SECONDS is ${reuseWindowMs / SECOND}`,
  },
  {
    id: 'settings.access_token_age',
    level: 'warning',
    why: 'An API that verifies tokens by itself accepts them that long after the session has ended',
    mend: 'Set ACCESS_TOKEN_EXPIRE_MINUTES to 30 or less',
    find: ({ accessTokenTtlMs }) =>
      accessTokenTtlMs > 30 * MINUTE && `ACCESS_TOKEN_EXPIRE_MINUTES is ${accessTokenTtlMs / MINUTE}`,
  },
  {
    id: 'settings.algorithm',
    level: 'warning',
    why: 'Every API that verifies access tokens has the key that makes them',
    mend: 'Set ALGORITHM to ES256 or EdDSA, and let APIs use the public keys',
    find: ({ algorithm }) => algorithm === 'HS256' && 'ALGORITHM is HS256',
  },
]

const WATCHING: readonly Check<SettingsFacts>[] = [
  {
    id: 'settings.audit_retention',
    level: 'warning',
    why: 'Break-ins are often noticed months later, and then the events that would explain them are gone',
    mend: 'Set AUDIT_RETENTION_DAYS to 90 or more, or keep exports elsewhere (docs/audit.md)',
    find: ({ auditRetentionMs }) =>
      auditRetentionMs < 90 * DAY && `AUDIT_RETENTION_DAYS is ${auditRetentionMs / DAY}`,
  },
  {
    id: 'settings.metrics_open',
    level: 'warning',
    why: 'Whoever reaches the port sees how many people sign in, and when the server is at its limits',
    mend: 'Set METRICS_TOKEN, or let METRICS_HOST be 127.0.0.1',
    find: ({ metrics }) =>
      metrics?.at === 'port' &&
      metrics.token === undefined &&
      !isLoopback(metrics.host) &&
      `METRICS_HOST is ${metrics.host}, and there is no METRICS_TOKEN`,
  },
]

const RUNNING: readonly Check<SettingsFacts>[] = [
  {
    id: 'settings.log_level',
    level: 'warning',
    why: 'Nobody learns from the log of a proxy that is not trusted, or of a service that is down',
    mend: 'Set LOG_LEVEL to info or warn',
    find: ({ logLevel }) => ['silent', 'fatal', 'error'].includes(logLevel) && `LOG_LEVEL is ${logLevel}`,
  },
  {
    id: 'settings.log_volume',
    level: 'info',
    why: 'It writes much, which slows the server and fills disks; there are no secrets in it',
    mend: 'Set LOG_LEVEL to info once you have found what you look for',
    find: ({ logLevel }) => ['debug', 'trace'].includes(logLevel) && `LOG_LEVEL is ${logLevel}`,
  },
  {
    id: 'settings.hash_concurrency',
    level: 'warning',
    why: 'Hashes that wait for a core take their memory (19 MiB each) and keep everything else from running',
    mend: 'Remove HASH_CONCURRENCY: the default is the number of cores',
    find: ({ hashConcurrency, cores }) =>
      hashConcurrency > cores && `HASH_CONCURRENCY is ${hashConcurrency}, and there are ${cores} cores`,
  },
  {
    id: 'settings.workers',
    level: 'warning',
    why: 'Each keeps a core busy: more of them only take memory and connections',
    mend: 'Set WORKERS to the number of cores at most',
    find: ({ workers, cores }) => workers > cores && `WORKERS is ${workers}, and there are ${cores} cores`,
  },
  {
    id: 'settings.pool_size',
    level: 'warning',
    why: 'Each worker has so few connections that requests wait for one another',
    mend: 'Set DATABASE_POOL_SIZE to twice the number of WORKERS or more',
    find: ({ database, workers }) =>
      database.kind === 'postgres' &&
      database.poolSize < 2 * workers &&
      `DATABASE_POOL_SIZE is ${database.poolSize} with ${workers} ${workers === 1 ? 'process' : 'workers'}`,
  },
]

const valid = byGathering({
  id: 'settings.valid',
  level: 'error',
  why: 'The server does not start, and much of what follows cannot be looked at',
  mend: 'Set it as the message says',
})

export const settings = defineGroup('settings', gather, [
  valid,
  ...ADDRESSES,
  ...STRENGTH,
  ...WATCHING,
  ...RUNNING,
])
