import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import type { AccessClaims } from '../../../src/core/security/claims.ts'
import { rememberSecret } from '../../support/traces.ts'
import { until } from '../../support/until.ts'
import { type FeedConnection, feedConnection } from './feed-connection.ts'
import { generateSigningKey, publicJwk, type SigningKey, signToken, someClaims } from './tokens.ts'

/** Has the scopes that a verifier needs. */
export const SERVICE_KEY = 'postern_sk_Zm9yIHRlc3RzIG9ubHksIGl0IG9wZW5zIG5vdGhpbmc'
rememberSecret(SERVICE_KEY)

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** What a verifier sees of a server, driven by the test. */
export type Issuer = {
  url: string
  key: SigningKey
  /** What is published. */
  jwks: { keys: unknown[] }
  /** Every request for the keys, for the feed, and the tokens that were introspected. */
  keyRequests: IncomingMessage[]
  feedRequests: IncomingMessage[]
  introspected: string[]
  /** How requests are answered; the test may answer otherwise. */
  onKeys: Handler
  onFeed: Handler
  onIntrospect: (token: string, response: ServerResponse, request: IncomingMessage) => void
  /** A token signed with the key. */
  token(changes?: Partial<AccessClaims> & { nbf?: unknown }): string
  /** The connection to the feed of that number, once it is there. */
  connection(index: number): Promise<FeedConnection>
  /** Lets what is on its way arrive. */
  settle(): Promise<void>
  stop(): Promise<void>
  /** Listens again where it did. */
  restart(): Promise<void>
}

const signingKey = await generateSigningKey('ES256')

export async function startIssuer(t: TestContext, apiPrefix = '/api/v1'): Promise<Issuer> {
  const connections: FeedConnection[] = []
  const server = createServer((request, response) => void answer(request, response))

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = `${request.method} ${request.url}`
    if (path === 'GET /.well-known/jwks.json') {
      issuer.keyRequests.push(request)
      return issuer.onKeys(request, response)
    }
    if (request.headers.authorization !== `Bearer ${SERVICE_KEY}`) {
      return sendProblem(response, 401, 'access_token_invalid')
    }
    if (path === `GET ${apiPrefix}/revocations`) {
      issuer.feedRequests.push(request)
      return issuer.onFeed(request, response)
    }
    if (path === `POST ${apiPrefix}/auth/introspect`) {
      const token = new URLSearchParams(await text(request)).get('token') ?? ''
      issuer.introspected.push(token)
      return issuer.onIntrospect(token, response, request)
    }
    sendProblem(response, 404, 'not_found')
  }

  async function listen(port: number): Promise<number> {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  async function stop(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  const port = await listen(0)
  t.after(stop)
  const url = `http://127.0.0.1:${port}`
  const issuer: Issuer = {
    url,
    key: signingKey,
    jwks: { keys: [publicJwk(signingKey)] },
    keyRequests: [],
    feedRequests: [],
    introspected: [],
    onKeys: (_request, response) => sendJson(response, issuer.jwks),
    onFeed: (request, response) => void connections.push(feedConnection(request, response)),
    onIntrospect: (_token, response) => sendJson(response, { active: true }),
    token: (changes) => signToken(signingKey, someClaims(url, changes)),
    async connection(index) {
      await until(`connection ${index} to the feed`, () => connections.length > index)
      return connections[index] as FeedConnection
    },
    async settle() {
      for (let round = 0; round < 3; round += 1) await (await fetch(`${url}/nothing`)).text()
    },
    stop,
    restart: async () => void (await listen(port)),
  }
  return issuer
}

export function sendJson(
  response: ServerResponse,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(200, {
    'content-type': 'application/json',
    'cache-control': 'public, max-age=300',
    ...headers,
  })
  response.end(JSON.stringify(body))
}

export function sendProblem(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' })
  response.end(JSON.stringify({ status, code, title: code }))
}
