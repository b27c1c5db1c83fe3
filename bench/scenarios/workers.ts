import { availableParallelism } from 'node:os'
import { interleave, medianRatio } from '../rounds.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { AT_ONCE, createMeter, outcome, perSecond } from './measure.ts'

const CORES_TO_GAIN_FROM = 4

export const workers: Scenario = {
  name: 'workers',
  what: 'GET /users/me, 32 at once for each process, PostgreSQL, WORKERS=2',
  async run(bench) {
    const dataset = await bench.postgres()
    await using one = await startServer(dataset)
    await using two = await startServer(dataset, { env: { WORKERS: '2' } })
    const requests = siteOf(one, dataset).lookups(10_000)
    const spent: Record<'one' | 'two', number[]> = { one: [], two: [] }
    const measure =
      (name: 'one' | 'two', { address, pid }: typeof one, connections: number) =>
      async () => {
        const meter = createMeter()
        const load = { address, connections, seconds: bench.seconds, requests }
        const found = perSecond(await meter.watch([pid], () => bench.send(load)))
        spent[name].push(meter.microsecondsPerRequest())
        return found
      }
    const measurements = { one: measure('one', one, AT_ONCE), two: measure('two', two, 2 * AT_ONCE) }
    for (const { address } of [one, two]) {
      await bench.send({ address, connections: AT_ONCE, seconds: bench.warmUpSeconds, requests })
    }
    const found = await interleave(bench.rounds, measurements, (round) => bench.report(`round ${round}`))
    const cores = availableParallelism()
    const time: Outcome = outcome({
      name: 'workers-time',
      what: `processor time a request, ${this.what}`,
      limit: 'the same with WORKERS=1',
      unit: 'µs',
      measured: spent.two,
      beside: spent.one,
      target: { atMost: 1.1 },
      notes: [],
    })
    return [
      time,
      outcome({
        name: 'workers-throughput',
        what: this.what,
        limit: 'the same with WORKERS=1',
        unit: 'requests/s',
        measured: found.two,
        beside: found.one,
        ratio: medianRatio(found.two, found.one),
        ...(cores >= CORES_TO_GAIN_FROM && { target: { atLeast: 1.6 } }),
        notes: cores >= CORES_TO_GAIN_FROM ? [] : [`${cores} cores: no target below ${CORES_TO_GAIN_FROM}`],
      }),
    ]
  },
}
