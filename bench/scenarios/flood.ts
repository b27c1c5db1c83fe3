import { availableParallelism, constants, setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from '../child.ts'
import type { Argon2Job } from '../limits/argon2.ts'
import type { BareFastifyJob } from '../limits/bare-fastify.ts'
import type { Load } from '../load/load.ts'
import { encodeRequest } from '../load/request.ts'
import { canReadUsage, forgetPeak, readMemory } from '../process-usage.ts'
import { interleave, median } from '../rounds.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { AT_ONCE, outcome, perSecond } from './measure.ts'

const CLIENTS = 64
const PER_SECOND = 200
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
    const { address, pid } = server
    const site = siteOf(server, dataset)
    const seconds = bench.seconds * 3
    const steady = { address, connections: AT_ONCE, seconds, rate: PER_SECOND }
    const me = (): Load => ({ ...steady, requests: lookups })
    const refresh = (): Load => ({ ...steady, requests: site.refreshes(AT_ONCE), isChain: true })
    const lookups = site.lookups(1000)
    const logins: number[] = []

    await using bare = startChild<BareFastifyJob, number>(
      new URL('../limits/bare-fastify.ts', import.meta.url),
    )
    const bareAddress = { host: address.host, port: await bare.ask({ body: { ok: true } }), prefix: '' }
    const bareLoad = {
      ...steady,
      address: bareAddress,
      requests: [encodeRequest(bareAddress, 'GET', '/users/me')],
    }
    setPriority(argon2.pid, constants.priority.PRIORITY_LOW)
    const besideHashing = async () => {
      const hashing = argon2.ask({ seconds: seconds + 2 * SETTLE_SECONDS })
      await sleep(SETTLE_SECONDS * 1000)
      const p99 = answeredP99(await bench.send(bareLoad))
      await hashing
      return p99
    }

    const quiet = async (load: Load) => answeredP99(await bench.send(load))
    const flooded = async (load: Load) => {
      const clients = {
        address,
        connections: CLIENTS,
        seconds: seconds + 2 * SETTLE_SECONDS,
        requests: site.logins(),
      }
      const flooding = crowd.ask(clients)
      await sleep(SETTLE_SECONDS * 1000)
      const p99 = answeredP99(await bench.send(load))
      logins.push((await flooding).perSecond)
      return p99
    }

    await bench.send({ ...me(), seconds: bench.warmUpSeconds })
    await bench.send({ ...refresh(), seconds: bench.warmUpSeconds })
    const idle = canReadUsage ? readMemory(pid).mib : 0
    if (canReadUsage) forgetPeak(pid)
    const found = await interleave(
      bench.rounds,
      {
        meQuiet: () => quiet(me()),
        meFlooded: () => flooded(me()),
        refreshQuiet: () => quiet(refresh()),
        refreshFlooded: () => flooded(refresh()),
        hashes: () => argon2.ask({ seconds: bench.seconds }),
        bareQuiet: () => quiet(bareLoad),
        bareFlooded: besideHashing,
      },
      (round) => bench.report(`round ${round}`),
    )
    const bothFloods = found.hashes.map((_, round) => median(logins.slice(2 * round, 2 * round + 2)))
    return [
      outcome({
        name: 'flood-me',
        what: `p99 of GET /users/me, ${PER_SECOND}/s, timed from when each was due, ${this.what}`,
        limit: 'the same without the flood',
        unit: 'ms',
        measured: found.meFlooded,
        beside: found.meQuiet,
        target: { atMost: 3 },
        notes: [],
      }),
      outcome({
        name: 'flood-refresh',
        what: `p99 of POST /auth/refresh, ${PER_SECOND}/s, timed from when each was due, ${this.what}`,
        limit: 'the same without the flood',
        unit: 'ms',
        measured: found.refreshFlooded,
        beside: found.refreshQuiet,
        target: { atMost: 3 },
        notes: [],
      }),
      outcome({
        name: 'flood-login',
        what: `POST /auth/login answered, ${this.what}, with 200 other requests a second`,
        limit: 'argon2id verifications of the same parameters on all cores, nothing else running',
        unit: 'requests/s',
        measured: bothFloods,
        beside: found.hashes,
        target: { atLeast: 0.85 },
        notes: [],
      }),
      outcome({
        name: 'flood-bare',
        what: `p99 of a bare Fastify route, ${PER_SECOND}/s, beside a process that hashes on all cores at the lowest priority`,
        limit: 'the same without that process: what the machine itself makes of a flood',
        unit: 'ms',
        measured: found.bareFlooded,
        beside: found.bareQuiet,
        notes: [],
      }),
      ...(canReadUsage ? [memoryOutcome(idle, readMemory(pid).peakMib)] : []),
    ]
  },
}

const answeredP99 = (result: Parameters<typeof perSecond>[0]): number => {
  perSecond(result)
  return result.p99Ms
}

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
    notes: [],
  })
}
