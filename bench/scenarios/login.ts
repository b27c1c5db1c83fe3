import { startChild } from '../child.ts'
import type { Argon2Job } from '../limits/argon2.ts'
import { loginRequest } from '../load/request.ts'
import { interleave } from '../rounds.ts'
import type { Bench, Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { type Site, siteOf } from '../site.ts'
import { createMeter, outcome, perSecond, warmUp } from './measure.ts'

const AT_ONCE = 8

export const login: Scenario = {
  name: 'login',
  what: 'POST /auth/login, 8 at once, SQLite',
  async run(bench) {
    const dataset = await bench.sqlite()
    await using server = await startServer(dataset)
    return await measureLogin(bench, siteOf(server, dataset), this.what)
  },
}

export async function measureLogin(bench: Bench, site: Site, what: string): Promise<Outcome[]> {
  await using argon2 = startChild<Argon2Job, number>(new URL('../limits/argon2.ts', import.meta.url))
  await using bare = startChild<undefined, number>(new URL('../limits/bare-login.ts', import.meta.url))
  const bareAddress = { host: '127.0.0.1', port: await bare.ask(undefined), prefix: '' }
  const bareLoad = {
    address: bareAddress,
    connections: AT_ONCE,
    requests: [loginRequest(bareAddress, 'anyone', 'anything')],
  }
  const meter = createMeter()
  const seconds = bench.seconds * 2
  const requests = site.logins()
  const load = { address: site.address, connections: AT_ONCE, requests }
  await warmUp(bench, site)
  const found = await interleave(
    bench.rounds,
    {
      server: async () =>
        perSecond(await meter.watch(site.pid ? [site.pid] : [], () => bench.send({ ...load, seconds }))),
      hashes: () => argon2.ask({ seconds }),
      bare: async () => perSecond(await bench.send({ ...bareLoad, seconds })),
    },
    (round) => bench.report(`round ${round}`),
  )
  return [
    outcome({
      name: 'login',
      what,
      limit: 'argon2id verifications of the same parameters on all cores, nothing else running',
      unit: 'requests/s',
      measured: found.server,
      beside: found.hashes,
      target: { atLeast: 0.95 },
      notes: site.pid ? [meter.describe('server')] : [],
    }),
    outcome({
      name: 'login-bare',
      what,
      limit: 'a bare Fastify route that does one such verification and nothing else',
      unit: 'requests/s',
      measured: found.server,
      beside: found.bare,
      notes: [],
    }),
  ]
}
