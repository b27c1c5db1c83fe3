import { isCount, isName } from './claims.ts'
import type { Fetch } from './requests.ts'
import { isServiceKey, type ServiceKey } from './service-key.ts'

/** What happens while it is not known which sessions have ended: the server is asked about each token, or all are refused, or let in. */
export type OnGap = 'introspect' | 'reject' | 'accept'

export type RevocationOptions = {
  /** A service key with the scope `revocations:read`, and `tokens:introspect` for `onGap: 'introspect'`; or what returns one. */
  key: ServiceKey
  /** Default `introspect`. */
  onGap?: OnGap | undefined
  /** So long after it was last up to date, what is known counts as a gap. Default 20; the server speaks every 10 s. */
  maxStalenessSeconds?: number | undefined
}

export type VerifierOptions = {
  /** The public URL of the server, as it stands in `iss`. */
  issuer: string
  /** What stands in `aud`. Default: the issuer. */
  audience?: string | undefined
  /** The path before the routes of the server's API. Default `/api/v1`. */
  apiPrefix?: string | undefined
  /** False: an ended session is not noticed before its token expires. */
  revocations: RevocationOptions | false
  /** How many verified tokens are remembered, so that their signatures need not be checked again. Default 10,000. */
  maxTokens?: number | undefined
  /** Told of what goes wrong in the background. */
  onError?: ((error: Error) => void) | undefined
  /** Default: that of the runtime. */
  fetch?: Fetch | undefined
  /** Milliseconds since the epoch. Default: `Date.now`. */
  now?: (() => number) | undefined
}

/** The options with all defaults. */
export type Settings = {
  issuer: string
  audience: string
  /** The address before the routes of the API. */
  api: string
  revocations: { key: ServiceKey; onGap: OnGap; maxStalenessSeconds: number } | undefined
  maxTokens: number
  onError: (error: Error) => void
  fetch: Fetch
  now: () => number
}

const NAMES = ['issuer', 'audience', 'apiPrefix', 'revocations', 'maxTokens', 'onError', 'fetch', 'now']
const REVOCATION_NAMES = ['key', 'onGap', 'maxStalenessSeconds']

/** @throws TypeError with one sentence on what is wrong, which never holds the key */
export function readOptions(options: VerifierOptions): Settings {
  refuseUnknown('createVerifier', options, NAMES)
  const issuer = readIssuer(options.issuer)
  const { audience = issuer, apiPrefix = '/api/v1', maxTokens = 10_000, onError = () => {} } = options
  const { fetch = globalThis.fetch, now = Date.now } = options
  demand(isName(audience), 'audience must be a text: one audience, as it stands in aud')
  demand(
    /^(\/[\w.~-]+)*$/.test(apiPrefix),
    'apiPrefix must be a path such as "/api/v1", without a slash at the end',
  )
  demand(isCount(maxTokens), 'maxTokens must be a whole number, 0 or more')
  for (const [name, value] of Object.entries({ onError, fetch, now })) {
    demand(typeof value === 'function', `${name} must be a function`)
  }
  const revocations = options.revocations === false ? undefined : readRevocations(options.revocations)
  return { issuer, audience, api: issuer + apiPrefix, revocations, maxTokens, onError, fetch, now }
}

function readRevocations(options: RevocationOptions): NonNullable<Settings['revocations']> {
  demand(
    typeof options === 'object' && options !== null,
    'revocations must be { key: "postern_sk_..." }, or false',
  )
  refuseUnknown('revocations', options, REVOCATION_NAMES)
  const { key, onGap = 'introspect', maxStalenessSeconds = 20 } = options
  demand(
    typeof key === 'function' || isServiceKey(key),
    'revocations.key must be a service key, or a function that returns one; it is missing, empty or no key at all',
  )
  demand(
    ['introspect', 'reject', 'accept'].includes(onGap),
    'onGap must be "introspect", "reject" or "accept"',
  )
  demand(
    Number.isFinite(maxStalenessSeconds) && maxStalenessSeconds > 0,
    'maxStalenessSeconds must be a number above 0',
  )
  return { key, onGap, maxStalenessSeconds }
}

/** As the server writes it, since tokens are compared with it. */
function readIssuer(issuer: unknown): string {
  demand(
    typeof issuer === 'string' && URL.canParse(issuer),
    'issuer must be a URL such as "https://auth.example.com"',
  )
  const { protocol, hostname, origin, pathname, username, password, search, hash } = new URL(String(issuer))
  const isHttps = protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
  demand(isHttps, 'issuer must be https: plain http is for localhost only')
  demand(
    `${username}${password}${search}${hash}` === '',
    'issuer must have no credentials, query or fragment',
  )
  const canonical = origin + pathname.replace(/\/$/, '')
  demand(issuer === canonical, `issuer must be written as the server does: "${canonical}"`)
  return canonical
}

const isLoopback = (hostname: string): boolean =>
  /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname)

function refuseUnknown(of: string, options: object, names: readonly string[]): void {
  demand(typeof options === 'object' && options !== null, `${of} needs its options`)
  const unknown = Object.keys(options).find((name) => !names.includes(name))
  demand(unknown === undefined, `${of} has no option "${unknown}", only ${names.join(', ')}`)
}

function demand(isMet: boolean, sentence: string): void {
  if (!isMet) throw new TypeError(`@postern/verify: ${sentence}`)
}
