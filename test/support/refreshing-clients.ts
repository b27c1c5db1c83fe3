import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { API, PASSWORD } from '../kit.ts'
import { claimsOf } from './tokens.ts'

const MAX_SOCKETS = 64
const SIGN_INS_AT_ONCE = 8
const ANSWER_WITHIN_MS = 15_000
const PAUSE_MS = 20

/** A client that keeps the newest refresh token it has received. */
type Client = { token: string; received: number }

export type Answer = {
  status: number
  body: { code?: string; [name: string]: unknown }
  retryAfter: string | undefined
}

/** Clients that refresh over real sockets, each one request after the other. */
export type Clients = {
  /** Refreshes received so far. */
  received(): number
  /** Signs `count` clients in, as a few people on many devices. */
  signIn(count: number): Promise<void>
  /** Refreshes without a pause until the signal; a failure to connect or a 503 is tried again with the token held. */
  refreshUntil(signal: AbortSignal): Promise<void>
  /** Every client refreshes once with what it holds, and must be served. */
  refreshAll(): Promise<void>
  /** Every answer but a 200 while refreshing, by status and code. */
  refusals: Map<string, number>
  close(): void
}

export function createClients(port: number): Clients {
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS })
  const clients: Client[] = []
  const refusals = new Map<string, number>()
  const post = (path: string, body: unknown) => send(agent, port, path, body)

  const refresh = async (client: Client): Promise<Answer> => {
    const answer = await post('/auth/refresh', { refresh_token: client.token })
    if (answer.status !== 200) return answer
    const next = String(answer.body.refresh_token)
    assert.equal(claimsOf(next).gen, claimsOf(client.token).gen + 1)
    client.token = next
    client.received += 1
    return answer
  }

  const keepRefreshing = async (client: Client, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const answer = await refresh(client).catch(ignoreLostConnection)
      if (answer?.status === 200) continue
      if (answer) count(refusals, answer)
      await sleep(PAUSE_MS)
    }
  }

  return {
    received: () => clients.reduce((sum, { received }) => sum + received, 0),
    refusals,
    async signIn(total) {
      const person = { username: 'ada', email: 'ada@example.com', password: PASSWORD }
      assert.equal((await post('/auth/register', person)).status, 200)
      const { username, password } = person
      for (let done = 0; done < total; done += SIGN_INS_AT_ONCE) {
        const size = Math.min(SIGN_INS_AT_ONCE, total - done)
        const logins = Array.from({ length: size }, () => post('/auth/login', { username, password }))
        for (const { status, body } of await Promise.all(logins)) {
          assert.equal(status, 200, JSON.stringify(body))
          clients.push({ token: String(body.refresh_token), received: 0 })
        }
      }
    },
    async refreshUntil(signal) {
      await Promise.all(clients.map((client) => keepRefreshing(client, signal)))
    },
    async refreshAll() {
      const answers = await Promise.all(clients.map(refresh))
      for (const { status, body } of answers) assert.equal(status, 200, JSON.stringify(body))
    },
    close: () => agent.destroy(),
  }
}

function count(refusals: Map<string, number>, { status, body, retryAfter }: Answer): void {
  const refusal = `${status} ${body.code}${retryAfter === undefined ? '' : ' with Retry-After'}`
  refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1)
}

/** The reply is lost: whether the server has done its work, nobody knows. */
function ignoreLostConnection(error: NodeJS.ErrnoException): undefined {
  const isLost = ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'].includes(error.code ?? '')
  if (!isLost && error.message !== 'aborted') throw error
}

function send(agent: Agent, port: number, path: string, body: unknown): Promise<Answer> {
  const payload = JSON.stringify(body)
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }
  return new Promise((resolve, reject) => {
    const options = { agent, host: '127.0.0.1', port, path: API + path, method: 'POST', headers }
    const call = request({ ...options, timeout: ANSWER_WITHIN_MS }, (reply) => {
      const chunks: Buffer[] = []
      reply.on('data', (chunk: Buffer) => chunks.push(chunk))
      reply.on('error', reject)
      reply.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const { statusCode: status = 0, headers: received } = reply
        resolve({ status, body: JSON.parse(text), retryAfter: received['retry-after'] })
      })
    })
    call.on('timeout', () => call.destroy(new Error(`no answer within ${ANSWER_WITHIN_MS} ms`)))
    call.on('error', reject)
    call.end(payload)
  })
}
