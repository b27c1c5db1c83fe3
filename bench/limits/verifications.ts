import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createVerifier } from '../../packages/verify/src/index.ts'
import { newId } from '../../src/core/ids.ts'
import { createKeyring, generateSigningKey } from '../../src/core/security/keyring.ts'
import { createTokens } from '../../src/core/security/tokens.ts'
import { answerJobs } from '../child.ts'

/** `seen` and `first` are verified by `@postern/verify`, of `bare` the signature alone is checked, one after the other. */
export type VerificationsJob = { what: 'seen' | 'first' | 'bare'; tokens: number; seconds: number }

const REVOCATIONS = 100_000
const DAY_MS = 86_400_000

const key = await generateSigningKey('ES256')
const keyring = createKeyring({ algorithm: 'ES256', secretKey: 'x'.repeat(32), signingKeys: [key] })
const issuer = await startIssuer()
const signer = createTokens({
  keyring: () => keyring,
  clock: { now: Date.now },
  issuer,
  audience: issuer,
  cacheBytes: 1,
})
const verifier = createVerifier({ issuer, revocations: { key: 'postern_sk_bench' } })
await verifier.ready({ timeoutSeconds: 60 })
const publicKey = await crypto.subtle.importKey(
  'jwk',
  key.publicJwk as object,
  { name: 'ECDSA', namedCurve: 'P-256' },
  false,
  ['verify'],
)

/** How many of them a second. */
answerJobs<VerificationsJob, number>(async ({ what, tokens: count, seconds }) => {
  const tokens = Array.from({ length: count }, issueToken)
  if (what === 'seen') {
    for (const token of tokens) await verifier.verify(token)
    return perSecond(tokens, seconds, (token) => verifier.verify(token))
  }
  return what === 'first'
    ? perSecond(tokens, 0, (token) => verifier.verify(token))
    : perSecond(tokens, 0, checkSignature)
})

/** Through all of them once, and again and again until the time is over. */
async function perSecond(
  tokens: string[],
  seconds: number,
  verify: (token: string) => Promise<unknown>,
): Promise<number> {
  const startedAt = performance.now()
  let count = 0
  do {
    for (const token of tokens) await verify(token)
    count += tokens.length
  } while (performance.now() - startedAt < seconds * 1000)
  return count / ((performance.now() - startedAt) / 1000)
}

async function checkSignature(token: string): Promise<void> {
  const end = token.lastIndexOf('.')
  const signature = Buffer.from(token.slice(end + 1), 'base64url')
  const data = Buffer.from(token.slice(0, end))
  const holds = await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, publicKey, signature, data)
  if (!holds) throw new Error('A signature does not hold')
}

function issueToken(): string {
  const now = Math.floor(Date.now() / 1000)
  return signer.signAccess({
    iss: issuer,
    aud: issuer,
    sub: newId(),
    sid: newId(),
    jti: newId(),
    iat: now,
    exp: now + 3600,
    auth_time: now,
    amr: ['pwd'],
    client_id: 'postern',
    scope: '',
    type: 'access',
  })
}

async function startIssuer(): Promise<string> {
  const server = createServer((request, reply) => {
    if (request.url?.endsWith('/jwks.json')) reply.end(JSON.stringify(keyring.jwks))
    else streamRevocations(reply)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function streamRevocations(reply: ServerResponse): void {
  const exp = Math.floor((Date.now() + DAY_MS) / 1000)
  reply.writeHead(200, { 'content-type': 'text/event-stream' })
  reply.write('event: snapshot\ndata: {}\n\n')
  for (let seq = 1; seq <= REVOCATIONS; seq += 1) {
    const data = JSON.stringify({ type: 'session', sid: newId(), exp })
    reply.write(`event: revocation\nid: ${seq}.x\ndata: ${data}\n\n`)
  }
  const beat = () =>
    reply.write(`event: heartbeat\nid: ${REVOCATIONS}.x\ndata: {"at":${Math.floor(Date.now() / 1000)}}\n\n`)
  beat()
  setInterval(beat, 10_000).unref()
}
