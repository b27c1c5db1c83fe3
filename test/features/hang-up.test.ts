import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KyselyPlugin } from 'kysely'
import { pino } from 'pino'
import { createApp } from '../../src/app.ts'
import { API, onEachDatabase, type Person, type TestServer } from '../kit.ts'
import { sessionOf } from '../support/sessions.ts'
import { claimsOf } from '../support/tokens.ts'

const WITHIN_MS = 10_000
const CLIENTS = 10

type Request = { method: string; path: string; token?: string; json?: unknown }
type HangUp = (socket: Socket) => void

const HANG_UPS: Record<string, HangUp> = {
  'closes its end': (socket) => socket.end(),
  'is gone': (socket) => socket.destroy(),
  'resets the connection': (socket) => socket.resetAndDestroy(),
}

onEachDatabase('a client that hangs up as soon as it has asked', ({ start }) => {
  for (const [what, hangUp] of Object.entries(HANG_UPS)) {
    it(`${what}: its logouts and changes are carried out, with nothing logged as an error`, async () => {
      const server = await start()
      const listening = await listen(server)
      const people = await Promise.all(Array.from({ length: CLIENTS }, () => server.register()))
      try {
        await sendAll(listening, people.map(renaming), hangUp)
        for (const person of people) {
          const { username } = person
          await until(
            async () => (await server.me(person.tokens.access_token)).body.username === `${username}x`,
          )
        }
        await sendAll(listening, people.map(signingOut), hangUp)
        for (const { tokens } of people) await untilEnded(server, tokens.refresh_token)
        assert.deepEqual(listening.errors, [])
      } finally {
        await listening.close()
      }
    })
  }

  it('before the database answers: all is done and told of with its address', async () => {
    const server = await start()
    const { promise: isGone, resolve: letGo } = Promise.withResolvers<void>()
    const listening = await listen(server, waitingFor(isGone))
    const [byBearer, byToken, renamed] = [
      await server.register(),
      await server.register(),
      await server.register(),
    ]
    const other = await server.login(renamed)
    const { sid } = claimsOf(other.refresh_token)
    try {
      await sendAll(
        listening,
        [
          signingOut(byBearer),
          { method: 'POST', path: '/auth/logout', json: { refresh_token: byToken.tokens.refresh_token } },
          { method: 'DELETE', path: `/users/me/sessions/${sid}`, token: renamed.tokens.access_token },
          renaming(renamed),
        ],
        HANG_UPS['is gone'],
      )
      letGo()
      for (const { refresh_token } of [byBearer.tokens, byToken.tokens, other]) {
        await untilEnded(server, refresh_token)
        assert.deepEqual(await endedFrom(server, refresh_token), ['127.0.0.1'])
      }
      await until(
        async () => (await server.me(renamed.tokens.access_token)).body.username === `${renamed.username}x`,
      )
      assert.deepEqual(listening.errors, [])
    } finally {
      letGo()
      await listening.close()
    }
  })
})

const signingOut = ({ tokens }: Person): Request => ({
  method: 'POST',
  path: '/auth/logout',
  token: tokens.access_token,
})

const renaming = ({ username, tokens }: Person): Request => ({
  method: 'PATCH',
  path: '/users/me',
  token: tokens.access_token,
  json: { username: `${username}x` },
})

/** A database whose answers arrive only then. */
const waitingFor = (event: Promise<void>): KyselyPlugin => ({
  transformQuery: ({ node }) => node,
  transformResult: async ({ result }) => {
    await event
    return result
  },
})

type Listening = Awaited<ReturnType<typeof listen>>

/** The app on a port of its own; `errors` is what it logs as such. */
async function listen({ context }: TestServer, plugin?: KyselyPlugin) {
  const errors: string[] = []
  const db = plugin ? context.db.withPlugin(plugin) : context.db
  const log = pino({ level: 'error' }, { write: (line: string) => void errors.push(line) })
  const app = await createApp({ ...context, db }, log)
  const connections: Socket[] = []
  app.server.on('connection', (socket) => connections.push(socket))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return { port, errors, connections, close: async () => void (await app.close()) }
}

/** Sends each on a connection of its own, hangs up, and waits until the server knows. */
async function sendAll(
  { port, connections }: Listening,
  requests: Request[],
  hangUp: HangUp = (socket) => socket.destroy(),
): Promise<void> {
  await Promise.all(
    requests.map(async (request) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      await once(socket, 'connect')
      await new Promise((resolve) => socket.write(wire(request), resolve))
      hangUp(socket)
    }),
  )
  await until(async () => connections.length >= requests.length)
  await until(async () => connections.every(({ destroyed }) => destroyed))
  connections.length = 0
}

function wire({ method, path, token, json }: Request): string {
  const body = json === undefined ? '' : JSON.stringify(json)
  return [
    `${method} ${API}${path} HTTP/1.1`,
    'host: 127.0.0.1',
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    ...(json === undefined ? [] : ['content-type: application/json']),
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n')
}

/** Where the ending of a token's session came from. */
async function endedFrom({ context }: TestServer, token: string): Promise<(string | null)[]> {
  const rows = await context.db
    .selectFrom('audit_events')
    .select('ip')
    .where('session_id', '=', claimsOf(token).sid)
    .where('type', 'in', ['session.ended'])
    .execute()
  return rows.map(({ ip }) => ip)
}

const untilEnded = (server: TestServer, token: string) =>
  until(async () => (await sessionOf(server, token)).revoked_at !== null)

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + WITHIN_MS
  while (!(await isSo())) {
    assert.ok(performance.now() < end, `not within ${WITHIN_MS} ms`)
    await sleep(10)
  }
}
