import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Context, createContext } from '../../src/context.ts'
import { createCaller } from '../../src/core/caller.ts'
import { systemClock } from '../../src/core/clock.ts'
import { loadSettings } from '../../src/core/settings.ts'
import { issueTokens, type TokenPair } from '../../src/features/sessions/issue-tokens.ts'
import { startSession } from '../../src/features/sessions/start-session.ts'
import { addUser } from '../../src/features/users/add-user.ts'
import { findUserByUsername } from '../../src/features/users/queries.ts'
import { PASSWORD } from '../kit.ts'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { inheritedEnvironment } from '../support/child-process.ts'
import { findFreePort } from '../support/postgres.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { makeServiceKey } from '../support/service-keys.ts'

export type Answer = { status: number; text: string }
/** An API in a process of its own. */
export type Api = { ask(token: string): Promise<Answer> }
export type Cluster = {
  context: Context
  servers: ServerProcess[]
  balancer: Balancer
  apis: Api[]
  /** Ends it as a crash does, and starts it again on its port. */
  replace(server: number): Promise<void>
}

/** Three servers on one PostgreSQL behind a balancer, and two APIs that verify by themselves. */
export async function startCluster(t: TestContext, databaseUrl: string): Promise<Cluster> {
  const ports = [await findFreePort(), await findFreePort(), await findFreePort()]
  const balancer = await startBalancer(ports)
  t.after(() => balancer.close())
  const env = { DATABASE_URL: databaseUrl, SECRET_KEY, PUBLIC_URL: balancer.url }
  const servers = await Promise.all(ports.map((port) => startServerProcess(env, { port })))
  t.after(() => Promise.all(servers.map((server) => server.stop())))
  const { settings } = loadSettings({ env, directory: '/nonexistent' })
  const context = await createContext({ ...settings, rateLimits: false }, systemClock)
  t.after(() => context.close())
  const { secret } = await makeServiceKey({ context }, ['revocations:read', 'tokens:introspect'])
  const apis = await Promise.all([0, 1].map(() => startApi(t, balancer.url, secret)))
  return {
    context,
    servers,
    balancer,
    apis,
    async replace(index) {
      await servers[index]?.kill()
      await sleep(500)
      servers[index] = await startServerProcess(env, { port: ports[index] as number })
    },
  }
}

async function startApi(t: TestContext, issuer: string, key: string): Promise<Api> {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, 'api-child.ts')], {
    env: { ...inheritedEnvironment(), ISSUER: issuer, SERVICE_KEY: key },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(line.toString())
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  return {
    async ask(token) {
      const asked = request({ port, agent, headers: { authorization: `Bearer ${token}` } }).end()
      const [reply] = await once(asked, 'response')
      let text = ''
      for await (const chunk of reply) text += chunk
      return { status: reply.statusCode, text }
    },
  }
}

export type Member = { userId: string; username: string; sessions: TokenPair[] }

/** Does it again until it succeeds: the database may be away. */
export async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + 60_000; ; ) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(50)
    }
  }
}

/** Somebody with so many sessions, which cost no password. */
export async function enrol(context: Context, username: string, sessions: number): Promise<Member> {
  const person = { username, email: `${username}@example.com`, password: PASSWORD }
  const user = await persist(async () => {
    const found = await findUserByUsername(context.db, { key: username })
    return found ?? addUser(context, person, { isSuperuser: false })
  })
  return { userId: user.id, username, sessions: await signIn(context, username, sessions) }
}

/** More sessions for somebody, however they stand now. */
export async function signIn(context: Context, username: string, count: number): Promise<TokenPair[]> {
  const caller = createCaller('127.0.0.1', 'node', 'test')
  const start = async () => {
    const user = (await findUserByUsername(context.db, { key: username })) ?? assert.fail(username)
    const { id: userId, password_hash: passwordHash, session_epoch: sessionEpoch } = user
    const session = await context.db
      .transaction()
      .execute((trx) =>
        startSession(context, trx, { userId, passwordHash, sessionEpoch, amr: 'pwd', caller }),
      )
    return issueTokens(context, session ?? assert.fail('no session'))
  }
  const pairs: TokenPair[] = []
  while (pairs.length < count) pairs.push(await persist(start))
  return pairs
}

/** The value below which that share of them lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}
