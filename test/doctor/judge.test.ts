import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { checkSettings } from '../../src/core/settings.ts'
import type { Finding, Group } from '../../src/doctor/check.ts'
import { accounts } from '../../src/doctor/groups/accounts.ts'
import { audit } from '../../src/doctor/groups/audit.ts'
import { clock } from '../../src/doctor/groups/clock.ts'
import { counters } from '../../src/doctor/groups/counters.ts'
import { database } from '../../src/doctor/groups/database.ts'
import { files } from '../../src/doctor/groups/files.ts'
import { forwarding } from '../../src/doctor/groups/forwarding.ts'
import { keys } from '../../src/doctor/groups/keys.ts'
import { machine } from '../../src/doctor/groups/machine.ts'
import { mail } from '../../src/doctor/groups/mail.ts'
import { outbox } from '../../src/doctor/groups/outbox.ts'
import { postgres } from '../../src/doctor/groups/postgres.ts'
import { proxies } from '../../src/doctor/groups/proxies.ts'
import { publicUrl } from '../../src/doctor/groups/public-url.ts'
import { secret } from '../../src/doctor/groups/secret.ts'
import { services } from '../../src/doctor/groups/services.ts'
import { settings } from '../../src/doctor/groups/settings.ts'
import { sqlite } from '../../src/doctor/groups/sqlite.ts'
import { tls } from '../../src/doctor/groups/tls.ts'
import { GROUPS } from '../../src/doctor/groups.ts'
import { SECRET_KEY } from '../support/secret-key.ts'

const NOW = Date.UTC(2026, 10, 26)

/** What each check says of facts that are as they should be, but for one change. */
type Cases<Facts> = Readonly<Record<string, readonly Partial<Facts>[]>>

const tested = new Set<string>()

function onFacts<Facts>(
  group: Group<Facts>,
  good: NoInfer<Facts>,
  bad: Cases<NoInfer<Facts>>,
  fine: readonly Partial<NoInfer<Facts>>[] = [],
) {
  for (const change of [{}, ...fine]) {
    it(`${group.name}: nothing is found where all is well ${JSON.stringify(change)}`, () => {
      assert.deepEqual(found(group.judge({ ...good, ...change })), [])
    })
  }
  for (const [id, changes] of Object.entries(bad)) {
    tested.add(id)
    for (const change of changes) {
      it(`${id} is found, and nothing else: ${JSON.stringify(change)}`, () => {
        const [finding, ...others] = found(group.judge({ ...good, ...change }))
        assert.deepEqual([finding?.check, others], [id, []])
        assert.match(finding?.what ?? '', /^\S.*[^.\s]$/)
      })
    }
  }
}

const found = (findings: Finding[]): Finding[] => findings.filter(({ level }) => level !== 'ok')

const settingsOf = (env: Record<string, string>) =>
  checkSettings({ env: { SECRET_KEY, HASH_CONCURRENCY: '2', ...env }, directory: '/nonexistent' }).settings

const POSTGRES = 'postgres://ada@127.0.0.1/db'
const cores = { isPublicUrlSet: true, cores: 2 }

onFacts(
  settings,
  { ...settingsOf({ PUBLIC_URL: 'https://auth.example.com' }), ...cores },
  {
    'settings.public_url_https': [settingsOf({ PUBLIC_URL: 'http://auth.example.com' })],
    'settings.public_url_set': [{ ...settingsOf({ HOST: '0.0.0.0' }), isPublicUrlSet: false }],
    'settings.cors_origins': [
      { corsOrigins: ['https://app.example.com', 'http://app.example.com'] },
      { corsOrigins: ['http://localhost:3000'] },
    ],
    'settings.rate_limits': [{ rateLimits: false }],
    'settings.password_min_length': [{ passwordMinLength: 14 }],
    'settings.session_max_age': [{ sessionMaxAgeMs: 91 * DAY }],
    'settings.session_idle': [{ refreshTokenTtlMs: 31 * DAY }],
    'settings.reuse_window': [{ reuseWindowMs: 61 * SECOND }],
    'settings.access_token_age': [{ accessTokenTtlMs: 31 * MINUTE }],
    'settings.audit_retention': [{ auditRetentionMs: 89 * DAY }],
    'settings.metrics_open': [settingsOf({ METRICS_PORT: '9100', METRICS_HOST: '0.0.0.0' })],
    'settings.algorithm': [{ algorithm: 'HS256' }],
    'settings.log_level': [{ logLevel: 'silent' }, { logLevel: 'fatal' }, { logLevel: 'error' }],
    'settings.log_volume': [{ logLevel: 'debug' }, { logLevel: 'trace' }],
    'settings.hash_concurrency': [{ hashConcurrency: 3 }],
    'settings.workers': [settingsOf({ DATABASE_URL: POSTGRES, WORKERS: '3' })],
    'settings.pool_size': [
      settingsOf({ DATABASE_URL: POSTGRES, WORKERS: '2', DATABASE_POOL_SIZE: '3' }),
      settingsOf({ DATABASE_URL: POSTGRES, DATABASE_POOL_SIZE: '1' }),
    ],
  },
  [
    { ...settingsOf({}), isPublicUrlSet: false },
    settingsOf({ CORS_ORIGINS: 'http://localhost:3000' }),
    { corsOrigins: ['https://app.example.com'] },
    { passwordMinLength: 15, sessionMaxAgeMs: 90 * DAY, refreshTokenTtlMs: 30 * DAY },
    { reuseWindowMs: MINUTE, accessTokenTtlMs: 30 * MINUTE, logLevel: 'warn' },
    settingsOf({ DATABASE_URL: POSTGRES, WORKERS: '2', DATABASE_POOL_SIZE: '4' }),
    settingsOf({ METRICS_PORT: '9100' }),
    settingsOf({ METRICS_PORT: '9100', METRICS_HOST: '0.0.0.0', METRICS_TOKEN: SECRET_KEY }),
  ],
)

onFacts(
  files,
  { secretFilesOpenToOthers: [], dotenvWarnings: [] },
  {
    'files.secrets': [{ secretFilesOpenToOthers: ['.env'] }],
    'files.dotenv': [{ dotenvWarnings: ['.env: line 2 is not of the form NAME=value'] }],
  },
)

onFacts(
  machine,
  { now: NOW, nodeVersion: '26.10.0', isRoot: false, openFiles: 4096 },
  {
    'machine.node': [{ nodeVersion: '24.16.0', now: Date.UTC(2028, 4, 1) }],
    'machine.root': [{ isRoot: true }],
    'machine.open_files': [{ openFiles: 1024 }],
  },
  [{ openFiles: undefined }, { nodeVersion: '24.16.0' }, { nodeVersion: '99.0.0' }],
)

onFacts(
  secret,
  {
    keptFailure: undefined,
    isLost: false,
    looseMode: [],
    unused: [],
    hasPrevious: false,
    daysOfPrevious: 14,
  },
  {
    'secret.kept': [{ keptFailure: 'db.secret-key: it cannot be read' }],
    'secret.lost': [{ isLost: true }],
    'secret.mode': [{ looseMode: ['db.secret-key: others can open it'] }],
    'secret.unused': [{ unused: ['db.secret-key: it is not used'] }],
    'secret.previous': [{ hasPrevious: true }],
  },
)

onFacts(
  database,
  { pending: [], isNew: false, newer: undefined, foreign: undefined, forbidden: undefined },
  {
    'database.new': [{ isNew: true, pending: ['001-initial'] }],
    'database.foreign': [{ isNew: true, pending: ['001-initial'], foreign: 'it has a table of another' }],
    'database.migrations': [{ pending: ['003-limits'] }],
    'database.newer': [{ newer: 'it was migrated by a newer version' }],
    'database.create_tables': [{ forbidden: 'this user may not create tables there' }],
  },
)

onFacts(
  postgres,
  {
    version: 18,
    now: NOW,
    host: 'db.example.com',
    encryption: 'verified',
    isReplica: false,
    isSuperuser: false,
    fsync: true,
    fullPageWrites: true,
    synchronousCommit: 'on',
    maxConnections: 97,
    wantedConnections: 97,
  },
  {
    'postgres.version': [{ version: 15, now: Date.UTC(2027, 10, 12) }],
    'postgres.primary': [{ isReplica: true }],
    'postgres.encryption': [{ encryption: 'none' }],
    'postgres.certificate': [{ encryption: 'unverified' }],
    'postgres.durability': [{ fsync: false }, { fullPageWrites: false }],
    'postgres.synchronous_commit': [{ synchronousCommit: 'off' }],
    'postgres.role': [{ isSuperuser: true }],
    'postgres.connections': [{ wantedConnections: 98 }],
  },
  [
    { encryption: 'none', host: 'localhost' },
    { encryption: 'none', host: '/run/postgresql' },
    { encryption: 'none', host: '::1' },
    { encryption: 'unverified', host: '127.0.0.1' },
    { synchronousCommit: 'local' },
    { version: 15 },
    { version: 99 },
  ],
)

onFacts(
  sqlite,
  {
    file: '/data/postern.db',
    fileMode: 0o100600,
    folderMode: 0o40755,
    isWritable: true,
    walBytes: 4 * 2 ** 20,
    freeBytes: 2 ** 40,
    networkFileSystem: undefined,
    fileBytes: 2 ** 20,
    damage: undefined,
    isChecked: true,
  },
  {
    'sqlite.integrity': [{ damage: 'row 3 missing from index' }],
    'sqlite.integrity_unknown': [{ isChecked: false, fileBytes: 2 ** 31 }],
    'sqlite.writable': [{ isWritable: false }],
    'sqlite.mode': [{ fileMode: 0o100640 }, { fileMode: 0o100604 }],
    'sqlite.folder_mode': [{ folderMode: 0o40777 }],
    'sqlite.file_system': [{ networkFileSystem: 'NFS' }],
    'sqlite.wal': [{ walBytes: 257 * 2 ** 20 }],
    'sqlite.disk_space': [{ freeBytes: 2 ** 29 }],
  },
)

const key = {
  kid: 'k1',
  algorithm: 'ES256',
  state: 'current',
  signsFrom: NOW - DAY,
  sealedWith: 'current',
  isDamaged: false,
} as const

onFacts(
  keys,
  { now: NOW, algorithm: 'ES256', keys: [key] },
  {
    'keys.sealed': [{ keys: [{ ...key, sealedWith: 'another' }] }],
    'keys.damaged': [{ keys: [{ ...key, isDamaged: true }] }],
    'keys.previous': [{ keys: [{ ...key, sealedWith: 'previous' }] }],
    'keys.algorithm': [{ algorithm: 'EdDSA' }, { keys: [] }],
    'keys.age': [{ now: NOW + 730 * DAY }],
  },
  [
    { algorithm: 'HS256', keys: [] },
    { keys: [{ ...key, state: 'previous', signsFrom: NOW - 1000 * DAY }, key] },
    { now: NOW + 729 * DAY },
  ],
)

onFacts(
  audit,
  { hasKey: true, head: 'genuine' },
  {
    'audit.key': [{ hasKey: false, head: 'unknown' }],
    'audit.head': [{ head: 'missing' }, { head: 'forged' }],
  },
)

onFacts(
  accounts,
  { superusers: 1 },
  { 'accounts.superuser': [{ superusers: 0 }], 'accounts.superusers': [{ superusers: 11 }] },
  [{ superusers: 10 }],
)

onFacts(
  proxies,
  { publicUrl: 'https://auth.example.com', trustedProxies: 1 },
  {
    'proxies.unset': [{ trustedProxies: [] }],
    'proxies.too_wide': [
      '8.0.0.0/8',
      '0.0.0.0/1',
      '104.16.0.0/11',
      '10.0.0.0/7',
      '2000::/3',
      '2400::/23',
      'fc00::/6',
      '::/1',
      '::ffff:0:0/96',
      '::ffff:8.0.0.0/104',
    ].map((network) => ({ trustedProxies: [network] })),
  },
  [
    { publicUrl: 'http://127.0.0.1:8000', trustedProxies: [] },
    {
      trustedProxies: [
        '10.0.0.0/8',
        '127.0.0.0/8',
        '100.64.0.0/10',
        '172.16.0.0/12',
        '192.168.0.0/16',
        '104.16.0.0/13',
        '8.8.8.8',
        '2001:db8::1',
        'fc00::/7',
        'fd00::/8',
        'fe80::/10',
        '2400:cb00::/32',
        '::ffff:10.0.0.0/104',
        '::ffff:192.0.2.1',
      ],
    },
  ],
)

const untrusted = { at: NOW - 7 * DAY, ip: '192.0.2.1' }

onFacts(
  forwarding,
  { now: NOW, isAnyTrusted: false, untrusted: undefined },
  { 'forwarding.untrusted': [{ untrusted }, { untrusted: { ...untrusted, ip: null } }] },
  [{ untrusted, isAnyTrusted: true }, { untrusted: { ...untrusted, at: NOW - 7 * DAY - 1 } }],
)

onFacts(
  clock,
  { now: NOW, disagreementMs: 0, newestEventAt: NOW },
  {
    'clock.agreement': [{ disagreementMs: 5001 }],
    'clock.drift': [{ disagreementMs: 1001 }, { disagreementMs: 5000 }],
    'clock.set_back': [{ newestEventAt: NOW + HOUR }],
  },
  [{ disagreementMs: 1000 }, { newestEventAt: undefined }, { newestEventAt: NOW + MINUTE }],
)

onFacts(
  counters,
  { host: 'redis.example.com', isEncrypted: true, evictionPolicy: 'noeviction', maxMemoryBytes: 2 ** 28 },
  {
    'counters.eviction': [{ evictionPolicy: 'allkeys-lru' }, { evictionPolicy: 'volatile-ttl' }],
    'counters.encryption': [{ isEncrypted: false }],
  },
  [
    { evictionPolicy: 'allkeys-lru', maxMemoryBytes: 0 },
    { evictionPolicy: undefined, maxMemoryBytes: undefined },
    { isEncrypted: false, host: '127.0.0.1' },
    { isEncrypted: false, host: '[::1]' },
  ],
)

onFacts(
  services,
  { pwnedPasswords: undefined, captcha: 'unsolved' },
  {
    'services.pwned_passwords': [{ pwnedPasswords: 'there is no answer within 1000 ms' }],
    'services.captcha': [{ captcha: 'no answer' }],
    'services.captcha_secret': [{ captcha: 'secret refused' }],
    'services.captcha_strict': [{ captcha: 'solved' }],
  },
  [{ captcha: undefined }],
)

onFacts(
  tls,
  {
    host: 'auth.example.com',
    now: NOW,
    validFrom: NOW - 60 * DAY,
    validTo: NOW + 30 * DAY,
    isForHost: true,
    distrust: undefined,
    acceptsOldVersions: false,
  },
  {
    'tls.valid': [
      { validTo: NOW - 1, distrust: 'CERT_HAS_EXPIRED' },
      { validFrom: NOW + 1, distrust: 'CERT_NOT_YET_VALID' },
      { distrust: 'CERT_HAS_EXPIRED' },
    ],
    'tls.expires_soon': [{ validTo: NOW + 19 * DAY }, { validFrom: NOW - 4 * DAY, validTo: NOW + DAY }],
    'tls.host': [{ isForHost: false, distrust: 'ERR_TLS_CERT_ALTNAME_INVALID' }],
    'tls.trusted': [{ distrust: 'DEPTH_ZERO_SELF_SIGNED_CERT' }],
    'tls.versions': [{ acceptsOldVersions: true }],
  },
  // Of six days, as some authorities give them.
  [{ validFrom: NOW - 3 * DAY, validTo: NOW + 3 * DAY }, { validTo: NOW + 21 * DAY }],
)

const redirect = { status: 301, location: 'https://auth.example.com/' }

onFacts(
  publicUrl,
  {
    publicUrl: 'https://auth.example.com',
    status: 200,
    kids: ['k1', 'k2'],
    ownKids: ['k2'],
    hsts: 'max-age=63072000; includeSubDomains',
    plain: redirect,
  },
  {
    'public_url.postern': [
      { status: 502, kids: undefined },
      { status: 404 },
      { kids: undefined },
      { kids: [] },
      { ownKids: ['k3'] },
    ],
    'public_url.hsts': [{ hsts: null }, { hsts: 'max-age=0' }, { hsts: 'max-age=86400' }],
    'public_url.redirect': [
      { plain: { status: 200, location: null } },
      { plain: { ...redirect, location: 'http://auth.example.com/' } },
    ],
  },
  [
    { plain: undefined },
    { ownKids: undefined },
    { ownKids: undefined, kids: [] },
    { hsts: 'max-age="31536000"' },
  ],
)

onFacts(
  mail,
  {
    host: 'smtp.example.net:587',
    fault: undefined,
    isInTheClear: false,
    domain: 'example.com',
    publicUrl: 'https://auth.example.com',
    links: ['https://auth.example.com'],
  },
  {
    'mail.reachable': [{ fault: { kind: 'unreachable', code: 'ESOCKET ECONNREFUSED' } }],
    'mail.tls': [{ fault: { kind: 'tls', code: 'ETLS 502' } }],
    'mail.certificate': [{ fault: { kind: 'certificate', code: 'ESOCKET CERT_HAS_EXPIRED' } }],
    'mail.login': [{ fault: { kind: 'login', code: 'EAUTH 535' } }],
    'mail.encryption': [{ isInTheClear: true }],
    'mail.from': ['localhost', '127.0.0.1', 'mail', 'printer.local', 'auth.internal'].map((domain) => ({
      domain,
    })),
    'mail.from_domain': [{ domain: 'example.org' }, { domain: 'auth.example.com.attacker.net' }],
    'mail.links': [
      { links: ['http://127.0.0.1:8000'] },
      { links: ['http://localhost:3000/reset?token={token}'] },
    ],
  },
  [
    { domain: 'auth.example.com' },
    { domain: 'mail.example.com' },
    { domain: 'example.org', publicUrl: 'http://127.0.0.1:8000' },
    { links: ['https://app.example.com/reset?token={token}'] },
  ],
)

onFacts(
  outbox,
  { now: NOW, waiting: 0, oldestAt: null, givenUp: 0 },
  {
    'outbox.waiting': [{ waiting: 1, oldestAt: NOW - 15 * MINUTE - 1 }],
    'outbox.given_up': [{ givenUp: 1 }],
  },
  [{ waiting: 3, oldestAt: NOW - 15 * MINUTE }],
)

it('every check that judges facts is tested here, and those that gathering itself decides are told from them', () => {
  const ids = GROUPS.flatMap(({ checks }) => checks.map(({ id }) => id))
  const others = ids.filter((id) => !tested.has(id))
  const byGathering = [
    'settings.valid',
    'database.usable',
    'counters.reachable',
    'tls.reachable',
    'public_url.answers',
    'mail.set_up',
    'mail.leaves',
  ]
  assert.deepEqual(others, byGathering)
  assert.equal(new Set(ids).size, ids.length)
})
