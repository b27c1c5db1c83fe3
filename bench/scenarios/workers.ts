import { availableParallelism } from 'node:os'
import { AT_ONCE, me, type NextLoad } from '../load/loads.ts'
import { inTurn } from '../rounds.ts'
import type { Bench, Scenario } from '../scenario.ts'
import { type Server, startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { createMeter, outcome, requireAnswered } from './measure.ts'

const CORES_TO_GAIN_FROM = 4

export const workers: Scenario = {
  name: 'workers',
  what: 'GET /users/me, 32 at once for each process, PostgreSQL, WORKERS=2',
  async run(bench) {
    const dataset = await bench.postgres()
    await using one = await startServer(dataset)
    await using two = await startServer(dataset, { env: { WORKERS: '2' } })
    const ofOne = me(siteOf(one, dataset))
    const ofTwo = me(siteOf(two, dataset), 2 * AT_ONCE)
    for (const next of [ofOne, ofTwo]) await bench.send({ ...next(), seconds: bench.warmUpSeconds })
    const found = await inTurn(bench, {
      one: () => measure(bench, one, ofOne),
      two: () => measure(bench, two, ofTwo),
    })
    const cores = availableParallelism()
    return [
      outcome({
        name: 'workers-time',
        what: `processor time a request, ${this.what}`,
        limit: 'the same with WORKERS=1',
        unit: 'µs',
        measured: found.two.map(({ microseconds }) => microseconds),
        beside: found.one.map(({ microseconds }) => microseconds),
        target: { atMost: 1.1 },
      }),
      outcome({
        name: 'workers-throughput',
        what: this.what,
        limit: 'the same with WORKERS=1',
        unit: 'requests/s',
        measured: found.two.map(({ perSecond }) => perSecond),
        beside: found.one.map(({ perSecond }) => perSecond),
        ...(cores >= CORES_TO_GAIN_FROM
          ? { target: { atLeast: 1.6 } }
          : { notes: [`${cores} cores: no target below ${CORES_TO_GAIN_FROM}`] }),
      }),
    ]
  },
}

/** Throughput, and processor time a request. */
async function measure({ send, seconds }: Bench, { pid }: Server, next: NextLoad) {
  const meter = createMeter(pid)
  const { perSecond } = requireAnswered(await meter.watch(() => send({ ...next(), seconds })))
  return { perSecond, microseconds: meter.microsecondsPerRequest() }
}
