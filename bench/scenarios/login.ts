import { startChild } from '../child.ts'
import type { Argon2Job } from '../limits/argon2.ts'
import type { BareLoginJob } from '../limits/bare-login.ts'
import { login as loginLoad } from '../load/loads.ts'
import { loginRequest } from '../load/request.ts'
import { hashPassword } from '../password.ts'
import { inTurn } from '../rounds.ts'
import type { Bench, Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { type Site, siteOf } from '../site.ts'
import { createMeter, outcome, requireAnswered, warmUp } from './measure.ts'

export const login: Scenario = {
  name: 'login',
  what: 'POST /auth/login, 8 at once, SQLite',
  profiled: { on: 'sqlite', load: loginLoad },
  async run(bench) {
    const dataset = await bench.sqlite()
    await using server = await startServer(dataset)
    return await measureLogin(bench, siteOf(server, dataset), this.what)
  },
}

export async function measureLogin(bench: Bench, site: Site, what: string): Promise<Outcome[]> {
  await using argon2 = startChild<Argon2Job, number>(new URL('../limits/argon2.ts', import.meta.url))
  await using bare = startChild<BareLoginJob, number>(new URL('../limits/bare-login.ts', import.meta.url))
  const hash = await hashPassword()
  const address = { host: '127.0.0.1', port: await bare.ask({ hash }), prefix: '' }
  const meter = createMeter(site.pid)
  const seconds = bench.seconds * 2
  const load = { ...loginLoad(site)(), seconds }
  const bareLoad = { ...load, address, requests: [loginRequest(address, 'anyone', 'anything')] }
  await warmUp(bench, site)
  const found = await inTurn(bench, {
    server: async () => requireAnswered(await meter.watch(() => bench.send(load))).perSecond,
    hashes: () => argon2.ask({ hash, seconds }),
    bare: async () => requireAnswered(await bench.send(bareLoad)).perSecond,
  })
  const measured = { what, unit: 'requests/s', measured: found.server }
  return [
    outcome({
      ...measured,
      name: 'login',
      limit: 'argon2id verifications of the same parameters on all cores, nothing else running',
      beside: found.hashes,
      target: { atLeast: 0.95 },
      notes: meter.describe('server'),
    }),
    outcome({
      ...measured,
      name: 'login-bare',
      limit: 'a bare Fastify route that does one such verification and nothing else',
      beside: found.bare,
    }),
  ]
}
