import { startChild } from '../child.ts'
import type { BareFastifyJob } from '../limits/bare-fastify.ts'
import { interleave } from '../rounds.ts'
import type { Bench, Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { type Site, siteOf } from '../site.ts'
import { AT_ONCE, createMeter, outcome, perSecond } from './measure.ts'

const TOKENS = 10_000

export const meSqlite: Scenario = {
  name: 'me-sqlite',
  what: 'GET /users/me, 32 at once, SQLite, 10,000 tokens cycling, seen before',
  async run(bench) {
    const dataset = await bench.sqlite()
    await using server = await startServer(dataset)
    return [await measureMe(bench, siteOf(server, dataset), this.what)]
  },
}

export async function measureMe(bench: Bench, site: Site, what: string): Promise<Outcome> {
  const file = new URL('../limits/bare-fastify.ts', import.meta.url)
  await using bare = startChild<BareFastifyJob, number>(file)
  const requests = site.lookups(TOKENS)
  const port = await bare.ask({ body: await readBody(site, requests[0] as string) })
  const bareAddress = { host: '127.0.0.1', port, prefix: '' }
  const meters = { server: createMeter(), bare: createMeter() }
  const { seconds, rounds } = bench
  const load = { connections: AT_ONCE, seconds, isAwake: true }
  const lookUp = () => bench.send({ ...load, address: site.address, requests })
  await bench.send({ ...load, address: site.address, requests, seconds: bench.warmUpSeconds })
  const found = await interleave(
    rounds,
    {
      server: async () => perSecond(await meters.server.watch(site.pid ? [site.pid] : [], lookUp)),
      bare: async () =>
        perSecond(
          await meters.bare.watch([bare.pid], () =>
            bench.send({
              ...load,
              address: bareAddress,
              requests: requests.map((request) => request.replace(site.address.prefix, '')),
            }),
          ),
        ),
    },
    (round) => bench.report(`round ${round}`),
  )
  return outcome({
    name: 'me-sqlite',
    what,
    limit: 'a bare Fastify route that returns the same body',
    unit: 'requests/s',
    measured: found.server,
    beside: found.bare,
    target: { atLeast: 0.6 },
    notes: [...(site.pid ? [meters.server.describe('server')] : []), meters.bare.describe('bare Fastify')],
  })
}

/** What the server answers, for the bare route to answer the same. */
async function readBody({ address }: Site, request: string): Promise<object> {
  const token = /authorization: (.*)\r/.exec(request)?.[1] ?? ''
  const url = `http://${address.host}:${address.port}${address.prefix}/users/me`
  const reply = await fetch(url, { headers: { authorization: token } })
  if (reply.status !== 200) throw new Error(`GET ${url} was answered with ${reply.status}`)
  return (await reply.json()) as object
}
