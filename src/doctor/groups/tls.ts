import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { DAY, SECOND, type Timestamp } from '../../core/clock.ts'
import { byGathering, defineGroup, Unusable } from '../check.ts'
import type { Scene } from '../scene.ts'

export type TlsFacts = Readonly<{
  host: string
  now: Timestamp
  validFrom: Timestamp
  validTo: Timestamp
  isForHost: boolean
  /** OpenSSL's code for why the chain is not trusted; undefined when it is. */
  distrust: string | undefined
  acceptsOldVersions: boolean
}>

const TIME_OUT_MS = 5 * SECOND
const SOON_MS = 21 * DAY
/** Before they expire, or for another name: what the other checks tell. */
const TOLD_ELSEWHERE = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'ERR_TLS_CERT_ALTNAME_INVALID']
/** TLS 1.0 and 1.1 (RFC 8996), which OpenSSL speaks only when it is told to demand nothing. */
const OLD_VERSIONS = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const

async function gather(scene: Scene): Promise<TlsFacts | undefined> {
  const url = new URL(scene.settings().publicUrl)
  if (url.protocol !== 'https:') return undefined
  const found = await handshake(url, {}, (socket) => inspectCertificate(socket, hostOf(url)))
  if (typeof found === 'string') {
    throw new Unusable('tls.reachable', `There is no TLS with ${url.host} from here (${found})`)
  }
  const old = await handshake(url, OLD_VERSIONS, () => true)
  return { ...found, host: hostOf(url), now: scene.clock.now(), acceptsOldVersions: old === true }
}

/** Without the brackets of an IPv6 address. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, '$1')

/**
 * Connects as a client would who shakes hands with anybody, so that what is wrong can be told.
 * @returns a code that says why there is no connection, in the other case
 */
function handshake<T>(
  url: URL,
  options: ConnectionOptions,
  look: (socket: TLSSocket) => T,
): Promise<T | string> {
  const host = hostOf(url)
  const port = Number(url.port || 443)
  const servername = isIP(host) === 0 ? host : ''
  return new Promise((resolve) => {
    const socket = connect({ host, port, servername, rejectUnauthorized: false, ...options })
    const end = (result: T | string) => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(TIME_OUT_MS, () => end('no answer within 5 seconds'))
    socket.once('secureConnect', () => end(look(socket)))
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.name))
  })
}

function inspectCertificate(socket: TLSSocket, host: string) {
  const certificate = socket.getPeerX509Certificate()
  if (!certificate) throw new TypeError('a server of TLS has a certificate')
  const match = isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)
  return {
    validFrom: certificate.validFromDate.getTime(),
    validTo: certificate.validToDate.getTime(),
    isForHost: match !== undefined,
    distrust: socket.authorized ? undefined : String(socket.authorizationError),
  }
}

const day = (time: Timestamp): string => new Date(time).toISOString().slice(0, 10)

/** A quarter of its life before the end, where that is short: such certificates are renewed later. */
const soonMs = ({ validFrom, validTo }: TlsFacts): number => Math.min(SOON_MS, (validTo - validFrom) / 4)

export const tls = defineGroup('tls', gather, [
  byGathering({
    id: 'tls.reachable',
    level: 'warning',
    why: 'Clients cannot sign in; or it is only that PUBLIC_URL is not reached from inside, and then nothing is known of its TLS',
    mend: 'See that the proxy runs and PUBLIC_URL leads to it; else run `postern doctor` where it does',
  }),
  {
    id: 'tls.valid',
    level: 'error',
    why: 'Browsers and clients refuse the connection',
    mend: 'Renew the certificate; see why it was not renewed by itself, and that the proxy has loaded it',
    find({ host, now, validFrom, validTo, distrust }) {
      if (now > validTo) return `The certificate of ${host} expired on ${day(validTo)}`
      if (now < validFrom) return `The certificate of ${host} is not valid before ${day(validFrom)}`
      return distrust === 'CERT_HAS_EXPIRED' && `A certificate of the chain of ${host} has expired`
    },
  },
  {
    id: 'tls.expires_soon',
    level: 'warning',
    why: 'It should have been renewed by now, and when it expires nobody signs in',
    mend: 'Renew the certificate; see why it was not renewed by itself',
    find: (facts) =>
      facts.now <= facts.validTo &&
      facts.validTo - facts.now < soonMs(facts) &&
      `The certificate of ${facts.host} expires on ${day(facts.validTo)}`,
  },
  {
    id: 'tls.host',
    level: 'error',
    why: 'Browsers and clients refuse the connection',
    mend: 'Get a certificate for the host in PUBLIC_URL, or correct PUBLIC_URL',
    find: ({ host, isForHost }) => !isForHost && `The certificate is not for ${host}`,
  },
  {
    id: 'tls.trusted',
    level: 'error',
    why: 'Clients that do not know who has signed the certificate refuse the connection',
    mend: 'Get a certificate from a public authority, with its whole chain; one of your own is known to this command by NODE_EXTRA_CA_CERTS',
    find: ({ host, distrust }) =>
      distrust !== undefined &&
      !TOLD_ELSEWHERE.includes(distrust) &&
      `The certificate of ${host} is not trusted (${distrust})`,
  },
  {
    id: 'tls.versions',
    level: 'warning',
    why: 'These versions are broken (RFC 8996), and a client may be talked into them',
    mend: 'Let the proxy speak TLS 1.2 and 1.3 alone',
    find: ({ host, acceptsOldVersions }) => acceptsOldVersions && `${host} speaks TLS 1.0 or 1.1`,
  },
])
