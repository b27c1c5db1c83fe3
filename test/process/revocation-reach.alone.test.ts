import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TokenPair } from '../../src/features/sessions/issue-tokens.ts'
import { disableUser } from '../../src/features/users/set-active.ts'
import { API, PASSWORD } from '../kit.ts'
import {
  type Api,
  type Cluster,
  enrol,
  type Member,
  percentile,
  persist,
  signIn,
  startCluster,
} from '../revocation/reach-kit.ts'
import { startPostgres } from '../support/postgres.ts'
import { scale } from '../support/scale.ts'

const ENDS = scale(120, 1000)
const WORKERS = 6
const SESSIONS_EACH = 12
const CONTROLS = 20
/** Whoever follows knows within a second. */
const REACH_MS = 1000
const GIVEN_UP_MS = 15_000

type End = { kind: string; tokens: string[]; ms: number }

/** Asks whichever server, again and again, until it gets one of these answers; gives when it did. */
async function insist(
  { balancer }: Cluster,
  ask: (url: string) => Promise<{ status: number }>,
  ...expected: number[]
): Promise<number> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const status = await ask(balancer.url).then(
      (reply) => reply.status,
      () => 0,
    )
    const now = performance.now()
    if (expected.includes(status)) return now
    assert.ok(now < deadline, `still ${status}, not ${expected}`)
    await sleep(50)
  }
}

const send = async (url: string, path: string, token: string | undefined, json?: object, method = 'POST') => {
  const reply = await fetch(`${url}${API}${path}`, {
    method,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'node',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    ...(json && { body: JSON.stringify(json) }),
    signal: AbortSignal.timeout(10_000),
  })
  const text = await reply.text()
  return { status: reply.status, body: text === '' ? {} : JSON.parse(text) }
}

type Way = (cluster: Cluster, member: Member) => Promise<{ tokens: string[]; at: number }>

/** Each way to end sessions: which tokens are dead then, and when the caller had the reply. */
const WAYS = {
  async logout(cluster, { sessions }) {
    const { access_token } = sessions.pop() as TokenPair
    // Who had no reply, and asks again, is told that it is over.
    const at = await insist(cluster, (url) => send(url, '/auth/logout', access_token, {}), 204, 401)
    return { tokens: [access_token], at }
  },
  async reuse(cluster, { sessions }) {
    const { access_token, refresh_token } = sessions.pop() as TokenPair
    const tokens = [access_token]
    let next = refresh_token
    const refresh = async (url: string) => {
      const reply = await send(url, '/auth/refresh', undefined, { refresh_token: next })
      if (reply.status !== 200) return reply
      next = reply.body.refresh_token
      tokens.push(reply.body.access_token)
      return reply
    }
    for (let time = 0; time < 3; time += 1) await insist(cluster, refresh, 200)
    const at = await insist(cluster, (url) => send(url, '/auth/refresh', undefined, { refresh_token }), 401)
    return { tokens, at }
  },
  async password(cluster, { sessions }) {
    const [kept, ...ended] = sessions.splice(0) as [TokenPair, ...TokenPair[]]
    const json = { password: PASSWORD, current_password: PASSWORD }
    const change = (url: string) => send(url, '/users/me', kept.access_token, json, 'PATCH')
    const at = await insist(cluster, change, 200)
    sessions.push(kept)
    return { tokens: ended.map(({ access_token }) => access_token), at }
  },
  async disable({ context }, { userId, sessions }) {
    const tokens = sessions.splice(0).map(({ access_token }) => access_token)
    await persist(() => disableUser(context, userId))
    return { tokens, at: performance.now() }
  },
} satisfies Record<string, Way>

/** How long it takes until every API refuses all of the tokens; throws when one goes on. */
async function reach(apis: readonly Api[], tokens: readonly string[], at: number): Promise<number> {
  const waiting = apis.flatMap((api) => tokens.map((token) => ({ api, token })))
  const ends = await Promise.all(
    waiting.map(async ({ api, token }) => {
      for (;;) {
        const { status } = await api.ask(token)
        const ms = performance.now() - at
        if (status === 401) return ms
        assert.ok(ms < GIVEN_UP_MS, `an API honours the token still after ${Math.round(ms)} ms`)
        await sleep(10)
      }
    }),
  )
  return Math.max(0, ...ends)
}

async function endAtRandom(
  cluster: Cluster,
  whileEnding: () => Promise<void>,
): Promise<{ ends: End[]; wronged: string[] }> {
  const { context, apis } = cluster
  const controls = (await enrol(context, 'control', CONTROLS)).sessions
  const wronged: string[] = []
  let isOver = false
  const watch = async (api: Api) => {
    for (let turn = 0; !isOver; turn += 1) {
      const { status, text } = await api.ask(controls[turn % CONTROLS]?.access_token ?? '')
      if (status !== 200) wronged.push(`${status} ${text}`)
      await sleep(5)
    }
  }
  const load = async () => {
    for (let turn = 0; !isOver; turn += 1) {
      const token = controls[turn % CONTROLS]?.access_token
      await send(cluster.balancer.url, '/users/me', token, undefined, 'GET').catch(() => {})
      await sleep(2)
    }
  }
  const ends: End[] = []
  let isCalm = false
  const work = async (worker: number) => {
    for (let round = 0; ends.length < ENDS || !isCalm; round += 1) {
      const member = await enrol(context, `member${worker}x${round}`, SESSIONS_EACH)
      const kinds = ['logout', 'reuse', 'logout', 'reuse', 'logout', 'password', 'logout', 'disable'] as const
      for (const kind of kinds) {
        const { tokens, at } = await WAYS[kind](cluster, member)
        ends.push({ kind, tokens, ms: await reach(apis, tokens, at) })
        if (kind === 'password') member.sessions.push(...(await signIn(context, member.username, 3)))
      }
    }
  }
  const background = [...apis.map(watch), load(), load()]
  await Promise.all([
    ...Array.from({ length: WORKERS }, (_, worker) => work(worker)),
    whileEnding().then(() => {
      isCalm = true
    }),
  ])
  isOver = true
  await Promise.all(background)
  return { ends, wronged }
}

function report(t: TestContext, ends: readonly End[]): { p99: number; late: number } {
  const all = ends.map(({ ms }) => ms)
  const [median, p99, most] = [0.5, 0.99, 1].map((share) => Math.round(percentile(all, share))) as [
    number,
    number,
    number,
  ]
  const late = all.filter((ms) => ms > REACH_MS).length
  t.diagnostic(
    `${ends.length} ends of sessions; from the reply until both APIs refuse: p50 ${median} ms, p99 ${p99} ms, most ${most} ms, ${late} later than ${REACH_MS} ms`,
  )
  return { p99, late }
}

it('whatever ends sessions is known at every API within a second, and nobody else is refused', async (t) => {
  const postgres = await startPostgres()
  t.after(() => postgres.stop())
  const cluster = await startCluster(t, postgres.url)
  const { ends, wronged } = await endAtRandom(cluster, async () => {})
  assert.ok(ends.length >= ENDS)
  assert.deepEqual(wronged, [])
  assert.ok(report(t, ends).p99 <= REACH_MS)
})

it('also when a server is killed, streams are cut, and PostgreSQL is restarted in the middle of it', async (t) => {
  const postgres = await startPostgres()
  t.after(() => postgres.stop())
  const cluster = await startCluster(t, postgres.url)
  const { ends, wronged } = await endAtRandom(cluster, async () => {
    await sleep(1000)
    await cluster.replace(0)
    await sleep(1000)
    cluster.balancer.cut()
    await sleep(1000)
    await postgres.kill()
    await sleep(1000)
    await postgres.restart()
    await sleep(1000)
    cluster.balancer.cut()
    await cluster.replace(1)
  })
  assert.deepEqual(wronged, [])
  const { late } = report(t, ends)
  // What was answered just before PostgreSQL went away is known once it is back: one for each worker, at most.
  assert.ok(late <= Math.max(ends.length / 100, WORKERS), `${late} of ${ends.length} were late`)
})
