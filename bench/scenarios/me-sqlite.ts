import { startChild } from '../child.ts'
import type { BareFastifyJob } from '../limits/bare-fastify.ts'
import { awake, me } from '../load/loads.ts'
import { inTurn } from '../rounds.ts'
import type { Bench, Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { type Site, siteOf } from '../site.ts'
import { createMeter, outcome, requireAnswered } from './measure.ts'

const load = (site: Site) => awake(me(site))

export const meSqlite: Scenario = {
  name: 'me-sqlite',
  what: 'GET /users/me, 32 at once, SQLite, 10,000 tokens cycling, seen before',
  profiled: { on: 'sqlite', load },
  async run(bench) {
    const dataset = await bench.sqlite()
    await using server = await startServer(dataset)
    return [await measureMe(bench, siteOf(server, dataset), this.what)]
  },
}

export async function measureMe(bench: Bench, site: Site, what: string): Promise<Outcome> {
  const file = new URL('../limits/bare-fastify.ts', import.meta.url)
  await using bare = startChild<BareFastifyJob, number>(file)
  const { seconds } = bench
  const lookups = { ...load(site)(), seconds }
  const body = await readBody(site, lookups.requests[0] as string)
  const bareLookups = {
    ...lookups,
    address: { host: '127.0.0.1', port: await bare.ask({ body }), prefix: '' },
    requests: lookups.requests.map((request) => request.replace(site.address.prefix, '')),
  }
  const meters = { server: createMeter(site.pid), bare: createMeter(bare.pid) }
  await bench.send({ ...lookups, seconds: bench.warmUpSeconds })
  const found = await inTurn(bench, {
    server: async () => requireAnswered(await meters.server.watch(() => bench.send(lookups))).perSecond,
    bare: async () => requireAnswered(await meters.bare.watch(() => bench.send(bareLookups))).perSecond,
  })
  return outcome({
    name: 'me-sqlite',
    what,
    limit: 'a bare Fastify route that returns the same body',
    unit: 'requests/s',
    measured: found.server,
    beside: found.bare,
    target: { atLeast: 0.6 },
    notes: [...meters.server.describe('server'), ...meters.bare.describe('bare Fastify')],
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
