import { availableParallelism, constants, setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from '../child.ts'
import type { Argon2Job } from '../limits/argon2.ts'
import type { BareFastifyJob } from '../limits/bare-fastify.ts'
import type { Load, LoadResult } from '../load/load.ts'
import { AT_ONCE, login, me, type NextLoad, refresh } from '../load/loads.ts'
import { encodeRequest } from '../load/request.ts'
import { hashPassword } from '../password.ts'
import { canReadUsage, forgetPeak, readMemory } from '../process-usage.ts'
import { inTurn } from '../rounds.ts'
import type { Bench, Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { outcome, requireAnswered } from './measure.ts'

const CLIENTS = 64
const PER_SECOND = 200
const OPEN_LOOP = `${PER_SECOND}/s, timed from when each was due`
const SETTLE_SECONDS = 0.5
const HASH_MIB = 19
const HEADROOM_MIB = 60

export const flood: Scenario = {
  name: 'flood',
  what: 'while 64 clients flood POST /auth/login, SQLite',
  async run(bench) {
    const dataset = await bench.sqlite()
    await using server = await startServer(dataset)
    await using crowd = bench.startGenerator()
    await using argon2 = startChild<Argon2Job, number>(new URL('../limits/argon2.ts', import.meta.url))
    await using bare = startChild<BareFastifyJob, number>(
      new URL('../limits/bare-fastify.ts', import.meta.url),
    )
    const site = siteOf(server, dataset)
    const lookups = steady(bench, me(site))
    const refreshes = steady(bench, refresh(site))
    const bareLookups = steady(bench, bareLoad(await bare.ask({ body: { ok: true } })))
    const clients = login(site, CLIENTS)
    const hash = await hashPassword()
    // Before the first hash: threads have the priority of the one that starts them.
    setPriority(argon2.pid, constants.priority.PRIORITY_LOW)

    const alone = async (next: () => Load) => requireAnswered(await bench.send(next())).p99Ms
    const flooded = (next: () => Load) =>
      sendAmid(bench, next(), (seconds) => crowd.ask({ ...clients(), seconds }))

    for (const next of [lookups, refreshes]) await bench.send({ ...next(), seconds: bench.warmUpSeconds })
    const idle = canReadUsage ? readMemory(server.pid).mib : 0
    if (canReadUsage) forgetPeak(server.pid)
    const found = await inTurn(bench, {
      meAlone: () => alone(lookups),
      meFlooded: () => flooded(lookups),
      refreshAlone: () => alone(refreshes),
      refreshFlooded: () => flooded(refreshes),
      hashes: () => argon2.ask({ hash, seconds: bench.seconds }),
      bareAlone: () => alone(bareLookups),
      bareFlooded: () => sendAmid(bench, bareLookups(), (seconds) => argon2.ask({ hash, seconds })),
    })
    return [
      ...speedOutcomes(this.what, found),
      ...(canReadUsage ? [memoryOutcome(idle, readMemory(server.pid).peakMib)] : []),
    ]
  },
}

/** An open loop, whatever the replies take. */
const steady =
  ({ seconds }: Bench, next: NextLoad) =>
  (): Load => ({ ...next(), rate: PER_SECOND, seconds: seconds * 3 })

function bareLoad(port: number): NextLoad {
  const address = { host: '127.0.0.1', port, prefix: '' }
  const load = { address, connections: AT_ONCE, requests: [encodeRequest(address, 'GET', '/users/me')] }
  return () => load
}

type Amid<Result> = { p99Ms: number; result: Result }

/** Sends a load in the midst of something that begins before it and outlasts it. */
async function sendAmid<Result>(
  { send }: Bench,
  load: Load,
  start: (seconds: number) => Promise<Result>,
): Promise<Amid<Result>> {
  const [result, sent] = await Promise.all([
    start(load.seconds + 2 * SETTLE_SECONDS),
    sleep(SETTLE_SECONDS * 1000).then(() => send(load)),
  ])
  return { p99Ms: requireAnswered(sent).p99Ms, result }
}

type P99 = Pick<Outcome, 'name' | 'what' | 'limit' | 'beside' | 'target'> & { amid: Amid<unknown>[] }

const p99Outcome = ({ amid, what, ...fields }: P99): Outcome =>
  outcome({ ...fields, what: `p99 of ${what}`, unit: 'ms', measured: amid.map(({ p99Ms }) => p99Ms) })

/** How many of the clients got through in both floods of a round. */
const loginsPerSecond = (one: Amid<LoadResult>[], other: Amid<LoadResult>[]): number[] =>
  one.map(({ result }, round) => (result.perSecond + (other[round]?.result.perSecond ?? Number.NaN)) / 2)

type Found = {
  meAlone: number[]
  meFlooded: Amid<LoadResult>[]
  refreshAlone: number[]
  refreshFlooded: Amid<LoadResult>[]
  hashes: number[]
  bareAlone: number[]
  bareFlooded: Amid<number>[]
}

const speedOutcomes = (what: string, found: Found): Outcome[] => [
  p99Outcome({
    name: 'flood-me',
    what: `GET /users/me, ${OPEN_LOOP}, ${what}`,
    limit: 'the same without the flood',
    amid: found.meFlooded,
    beside: found.meAlone,
    target: { atMost: 3 },
  }),
  p99Outcome({
    name: 'flood-refresh',
    what: `POST /auth/refresh, ${OPEN_LOOP}, ${what}`,
    limit: 'the same without the flood',
    amid: found.refreshFlooded,
    beside: found.refreshAlone,
    target: { atMost: 3 },
  }),
  outcome({
    name: 'flood-login',
    what: `POST /auth/login answered, ${what}, with ${PER_SECOND} other requests a second`,
    limit: 'argon2id verifications of the same parameters on all cores, nothing else running',
    unit: 'requests/s',
    measured: loginsPerSecond(found.meFlooded, found.refreshFlooded),
    beside: found.hashes,
    target: { atLeast: 0.85 },
  }),
  p99Outcome({
    name: 'flood-bare',
    what: `a bare Fastify route, ${PER_SECOND}/s, beside a process that hashes on all cores at the lowest priority`,
    limit: 'the same without that process: what the machine itself makes of a flood',
    amid: found.bareFlooded,
    beside: found.bareAlone,
  }),
]

function memoryOutcome(idle: number, peak: number): Outcome {
  const cores = availableParallelism()
  return outcome({
    name: 'flood-memory',
    what: 'peak resident memory in the flood',
    limit: `idle (${Math.round(idle)} MiB) + HASH_CONCURRENCY (${cores}) x ${HASH_MIB} MiB + ${HEADROOM_MIB} MiB`,
    unit: 'MiB',
    measured: [peak],
    beside: [idle + cores * HASH_MIB + HEADROOM_MIB],
    target: { atMost: 1 },
  })
}
