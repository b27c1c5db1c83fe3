import { MAX_ACCESS_TOKEN_MINUTES, MAX_REUSE_WINDOW_SECONDS } from '../token-life.ts'
import {
  apiPrefix,
  collectorUrl,
  host,
  origins,
  publicUrl,
  rangeUrl,
  redisUrl,
  serviceUrl,
  trustedProxies,
} from './addresses.ts'
import { contextWords } from './context-words.ts'
import { databaseUrl } from './database-url.ts'
import { EMAIL_NOTICES, linkUrl, notices, sender, smtpUrl } from './email.ts'
import { bearer, headers } from './headers.ts'
import { previousSecretKey, secretKey } from './secret-key.ts'
import { boolean, choice, fraction, integer, type Kind, secretText, text } from './values.ts'

type Description = {
  /** The text that stands for an unset variable; undefined when there is none, or it depends on others. */
  default: string | undefined
  /** For people: README and `.env.example`. */
  meaning: string
  /** Never shown, and may come from the file that `NAME_FILE` names. */
  secret?: true
}

export type Variable<T> = Readonly<Description> & Kind<T>

function variable<T, const D extends Description>(kind: Kind<T>, description: D): Kind<T> & D {
  return { ...kind, ...description }
}

/** Every variable that Postern reads. */
export const VARIABLES = {
  HOST: variable(host, {
    default: '127.0.0.1',
    meaning: 'Address to listen on; 0.0.0.0 for every IPv4 address, :: for IPv6 as well.',
  }),
  PORT: variable(integer(0, 65_535), {
    default: '8000',
    meaning: 'Port to listen on; 0 takes any free one.',
  }),
  WORKERS: variable(integer(1, 64), {
    default: '1',
    meaning: 'Processes that serve on this node, 1 to 64; more than 1 with PostgreSQL only.',
  }),
  LOG_LEVEL: variable(choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']), {
    default: 'info',
    meaning: 'Least severe messages to log: fatal, error, warn, info, debug, trace, or silent for none.',
  }),
  PUBLIC_URL: variable(publicUrl, {
    default: undefined,
    meaning: 'Where clients reach this server, and the issuer of its tokens. Default: http://HOST:PORT.',
  }),
  PROJECT_NAME: variable(
    text('^(?=.*\\S)[^\\p{Cc}\\p{Zl}\\p{Zp}]{1,100}$', '1 to 100 printable characters'),
    {
      default: 'Postern',
      meaning: 'Name of the service, as people see it.',
    },
  ),
  API_V1_STR: variable(apiPrefix, {
    default: '/api/v1',
    meaning: 'Path before every route of the API.',
  }),
  SECRET_KEY: variable(secretKey, {
    default: undefined,
    meaning:
      'Root secret, at least 32 bytes; `postern secret generate` makes one. Required with PostgreSQL, the same on every node; with SQLite one is made and kept beside the database when unset. Or SECRET_KEY_FILE.',
    secret: true,
  }),
  SECRET_KEY_PREVIOUS: variable(previousSecretKey, {
    default: undefined,
    meaning:
      'A second secret, accepted but not used for anything new, while SECRET_KEY is changed. Or SECRET_KEY_PREVIOUS_FILE.',
    secret: true,
  }),
  ALGORITHM: variable(choice(['ES256', 'EdDSA', 'RS256', 'PS256', 'HS256']), {
    default: 'ES256',
    meaning:
      'How access tokens are signed: ES256, EdDSA (Ed25519), RS256, PS256, or HS256 with a shared key.',
  }),
  KEY_ROTATION_DAYS: variable(integer(0, 3650), {
    default: '30',
    meaning:
      'How long a key signs access tokens before the next one does, 0 (until `postern keys rotate`) to 3650 days.',
  }),
  ACCESS_TOKEN_EXPIRE_MINUTES: variable(integer(1, MAX_ACCESS_TOKEN_MINUTES), {
    default: '30',
    meaning: 'How long an access token lives, 1 to 60 minutes.',
  }),
  REFRESH_TOKEN_EXPIRE_DAYS: variable(integer(1, 365), {
    default: '7',
    meaning: 'How long a session lasts without being used, 1 to 365 days.',
  }),
  SESSION_MAX_AGE_DAYS: variable(integer(1, 3650), {
    default: '90',
    meaning: 'How long a session lasts however much it is used, 1 to 3650 days.',
  }),
  REFRESH_REUSE_WINDOW_SECONDS: variable(integer(0, MAX_REUSE_WINDOW_SECONDS), {
    default: '30',
    meaning: 'How long a refresh may be repeated from the same address and agent, 0 to 300 seconds.',
  }),
  REFRESH_RECOVERY_HOURS: variable(integer(0, 8760), {
    default: '168',
    meaning:
      'How long a client that lost the reply to a refresh may come back for it once, 0 (never) to 8760 hours.',
  }),
  SESSION_LIMIT: variable(integer(1, 1000), {
    default: '100',
    meaning: 'Sessions that one user may have, 1 to 1000; one more ends the oldest.',
  }),
  PASSWORD_MIN_LENGTH: variable(integer(8, 64), {
    default: '15',
    meaning: 'Fewest characters of a new password, 8 to 64.',
  }),
  PASSWORD_CONTEXT_WORDS: variable(contextWords, {
    default: '',
    meaning:
      'Words that a new password must not be made of, beside PROJECT_NAME and the names of the user: your organisation, your products, with commas between them.',
  }),
  PWNED_PASSWORDS_URL: variable(rangeUrl, {
    default: undefined,
    meaning:
      'Range API that is asked whether a new password is known from a breach, such as https://api.pwnedpasswords.com/range/. Default: none is asked.',
  }),
  TRUSTED_PROXIES: variable(trustedProxies, {
    default: '',
    meaning:
      'Proxies whose X-Forwarded-For is believed: their addresses or networks, such as 10.0.0.0/8, with commas between them; or how many stand in a row before this server.',
  }),
  RATE_LIMITS: variable(boolean(), {
    default: 'true',
    meaning: 'Whether guesses and floods are limited; false for load tests only.',
  }),
  RATE_LIMIT_URL: variable(redisUrl, {
    default: undefined,
    meaning:
      'Redis or Valkey that counts for all nodes: redis://USER:PASSWORD@HOST, or rediss:// with TLS. Default: PostgreSQL, or memory with SQLite. Or RATE_LIMIT_URL_FILE.',
    secret: true,
  }),
  CAPTCHA_VERIFY_URL: variable(serviceUrl, {
    default: undefined,
    meaning:
      'Where tokens of a captcha are verified (siteverify: hCaptcha, reCAPTCHA v2, Turnstile); asked for when somebody registers, and at suspicious sign-ins.',
  }),
  CAPTCHA_SECRET: variable(secretText('^\\S{1,500}$', '1 to 500 characters without spaces'), {
    default: undefined,
    meaning: 'What the captcha service knows this site by; with CAPTCHA_VERIFY_URL. Or CAPTCHA_SECRET_FILE.',
    secret: true,
  }),
  SMTP_URL: variable(smtpUrl, {
    default: undefined,
    meaning:
      'Server that mails are sent by: smtp://USER:PASSWORD@HOST:587, or smtps:// with TLS from the start. Without it mails are shown on a page that the log tells, where HOST and PUBLIC_URL are loopback addresses and the database is SQLite; elsewhere none are sent. Or SMTP_URL_FILE.',
    secret: true,
  }),
  SMTP_STARTTLS: variable(boolean(), {
    default: 'true',
    meaning:
      'Whether smtp:// has to become TLS before anything is sent; false on a network of your own only.',
  }),
  EMAIL_FROM: variable(sender, {
    default: undefined,
    meaning:
      'Whom mails are from: an address, or Name <address>. Default: PROJECT_NAME <no-reply@HOST of PUBLIC_URL>.',
  }),
  REQUIRE_EMAIL_VERIFICATION: variable(boolean(), {
    default: 'false',
    meaning:
      'Whether nobody signs in before their address is verified. Then registering does not tell whether an address is known.',
  }),
  MAGIC_LINKS: variable(boolean(), {
    default: 'false',
    meaning: 'Whether people may sign in by a link or a code that is sent to them.',
  }),
  EMAIL_NOTICES: variable(notices, {
    default: EMAIL_NOTICES.join(','),
    meaning: 'What people are told by mail without asking, with commas between them; none for nothing.',
  }),
  EMAIL_LINK_URL_CONFIRM: variable(linkUrl, {
    default: undefined,
    meaning:
      'Page of the application for links that confirm a registration or a new address, where the password of the account is asked for; {token} stands for the token, else it is added as ?token=. Default: a page of Postern.',
  }),
  EMAIL_LINK_URL_VERIFY: variable(linkUrl, {
    default: undefined,
    meaning: 'The same for links that verify an address.',
  }),
  EMAIL_LINK_URL_RESET: variable(linkUrl, {
    default: undefined,
    meaning: 'The same for links that reset a password.',
  }),
  EMAIL_LINK_URL_UNDO: variable(linkUrl, {
    default: undefined,
    meaning: 'The same for links that undo a change of address.',
  }),
  EMAIL_LINK_URL_SIGN_IN: variable(linkUrl, {
    default: undefined,
    meaning: 'The same for links that sign in.',
  }),
  EMAIL_TEMPLATES_DIR: variable(text('^[^\\p{Cc}]{1,1000}$', 'a folder'), {
    default: undefined,
    meaning: 'Folder with templates and messages of your own, which go before those of Postern.',
  }),
  BRAND_COLOR: variable(text('^#[0-9A-Fa-f]{6}$', 'a colour such as #1d4ed8'), {
    default: '#1d4ed8',
    meaning: 'Colour of buttons in mails and on pages.',
  }),
  BRAND_LOGO_URL: variable(serviceUrl, {
    default: undefined,
    meaning: 'Picture above mails and pages, at an https URL. Default: PROJECT_NAME in letters.',
  }),
  HASH_CONCURRENCY: variable(integer(1, 64), {
    default: undefined,
    meaning:
      'Passwords hashed at the same time, 1 to 64, divided among WORKERS and rounded up. Default: the number of cores.',
  }),
  TOKEN_CACHE_MB: variable(integer(1, 1024), {
    default: '32',
    meaning:
      'Memory for access tokens whose signature has been checked, 1 to 1024 MiB, divided among WORKERS; about 600 tokens fit into one.',
  }),
  AUDIT_RETENTION_DAYS: variable(integer(1, 3650), {
    default: '365',
    meaning: 'How long events of the audit log are kept, 1 to 3650 days.',
  }),
  CORS_ORIGINS: variable(origins, {
    default: '',
    meaning:
      'Origins whose pages may call the API, such as https://app.example.com, with commas between them.',
  }),
  DATABASE_URL: variable(databaseUrl, {
    default: 'sqlite:///./data/postern.db',
    meaning:
      'sqlite:///./relative.db, sqlite:////absolute.db or postgresql://USER:PASSWORD@HOST/DATABASE. Or DATABASE_URL_FILE.',
    secret: true,
  }),
  DATABASE_POOL_SIZE: variable(integer(1, 200), {
    default: '10',
    meaning:
      'Connections to PostgreSQL that one node opens at most, 1 to 200, divided among WORKERS; each has at least one.',
  }),
  DATABASE_PREPARED_STATEMENTS: variable(boolean(), {
    default: 'true',
    meaning: 'Whether statements are prepared on PostgreSQL; false behind PgBouncer in transaction mode.',
  }),
  METRICS_PORT: variable(integer(0, 65_535), {
    default: undefined,
    meaning:
      'Port where Prometheus finds /metrics; 0 takes any free one. Without it there is none, or with METRICS_TOKEN one on PORT.',
  }),
  METRICS_HOST: variable(host, {
    default: '127.0.0.1',
    meaning: 'Address to listen on for METRICS_PORT.',
  }),
  METRICS_TOKEN: variable(bearer, {
    default: undefined,
    meaning:
      'Bearer token that /metrics asks for, at least 32 characters; `postern secret generate` makes one. Or METRICS_TOKEN_FILE.',
    secret: true,
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable(collectorUrl, {
    default: undefined,
    meaning:
      'OpenTelemetry collector that traces go to, such as http://127.0.0.1:4318; /v1/traces is added. Without it there are none.',
  }),
  OTEL_EXPORTER_OTLP_HEADERS: variable(headers, {
    default: '',
    meaning:
      'Headers for the collector: name=value with commas between them, values percent-encoded. Or OTEL_EXPORTER_OTLP_HEADERS_FILE.',
    secret: true,
  }),
  OTEL_SERVICE_NAME: variable(
    text('^[\\x21-\\x7e]{1,100}$', '1 to 100 visible ASCII characters without spaces'),
    {
      default: 'postern',
      meaning: 'What traces call this server.',
    },
  ),
  OTEL_TRACES_SAMPLER_ARG: variable(fraction(), {
    default: '1',
    meaning: 'Share of the requests that are traced, 0 to 1.',
  }),
} as const satisfies Record<string, Variable<unknown>>

export type VariableName = keyof typeof VARIABLES

/** What each variable stands for; undefined where it is unset and has no default of its own. */
export type Values = {
  readonly [Name in VariableName]:
    | ReturnType<(typeof VARIABLES)[Name]['parse']>
    | ((typeof VARIABLES)[Name]['default'] extends string ? never : undefined)
}

export const VARIABLE_NAMES = Object.keys(VARIABLES) as VariableName[]

/** The variable that may name a file with the secret; undefined for what is no secret. */
export function fileVariable(name: VariableName): string | undefined {
  return 'secret' in VARIABLES[name] ? `${name}_FILE` : undefined
}
