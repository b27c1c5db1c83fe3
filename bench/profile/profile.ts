import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dataset } from '../data.ts'
import type { Load, LoadResult } from '../load/load.ts'
import type { Bench } from '../scenario.ts'
import { AT_ONCE, perSecond, warmUp } from '../scenarios/measure.ts'
import { startServer } from '../server.ts'
import { type Site, siteOf } from '../site.ts'
import { divide, type Part } from './parts.ts'

const SECONDS = 10
const WRITTEN_WITHIN_MS = 30_000
const FUNCTIONS = 25
const RECORDER = new URL('./recorder.mjs', import.meta.url).href

type Profiled = {
  what: string
  on: Dataset['kind']
  load(site: Site): Partial<Load> & { requests: string[] }
}

const refresh = (site: Site) => ({ requests: site.refreshes(AT_ONCE), isChain: true })

/** What can be profiled: the routes that a scenario measures, under the same load. */
const PROFILED: Record<string, Profiled> = {
  login: {
    what: 'POST /auth/login, 8 at once, SQLite',
    on: 'sqlite',
    load: (site) => ({ requests: site.logins(), connections: 8 }),
  },
  'me-sqlite': {
    what: 'GET /users/me, 32 at once, SQLite, tokens seen before',
    on: 'sqlite',
    load: (site) => ({ requests: site.lookups(10_000), isAwake: true }),
  },
  'refresh-sqlite': {
    what: 'POST /auth/refresh, 32 at once, SQLite',
    on: 'sqlite',
    load: (site) => ({ ...refresh(site), isAwake: true }),
  },
  'refresh-postgres': { what: 'POST /auth/refresh, 32 at once, PostgreSQL', on: 'postgres', load: refresh },
}

export const profiledNames = Object.keys(PROFILED)

/** Writes for each of these where the event loop's time goes, as `profile-NAME.txt`. */
export async function writeProfiles(names: string[], bench: Bench, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  for (const name of names) {
    const profiled = PROFILED[name]
    if (!profiled) continue
    bench.report(`profile of ${name}`)
    writeFileSync(join(folder, `profile-${name}.txt`), await record(profiled, bench))
  }
}

async function record({ what, on, load }: Profiled, bench: Bench): Promise<string> {
  const dataset = await bench[on]()
  const file = join(import.meta.dirname, '../data', `profile-${process.pid}.json`)
  rmSync(file, { force: true })
  await using server = await startServer(dataset, {
    env: { PROFILE_FILE: file },
    nodeOptions: ['--import', RECORDER],
  })
  const site = siteOf(server, dataset)
  const { address } = server
  const whole: Load = { address, connections: AT_ONCE, seconds: SECONDS, ...load(site) }
  await warmUp(bench, site)
  if (!whole.isChain) await bench.send({ ...whole, seconds: bench.warmUpSeconds })
  process.kill(server.pid, 'SIGUSR2')
  const result = await bench.send(whole)
  process.kill(server.pid, 'SIGUSR2')
  const end = performance.now() + WRITTEN_WITHIN_MS
  while (!existsSync(file) && performance.now() < end) await sleep(100)
  const profile = JSON.parse(readFileSync(file, 'utf8'))
  rmSync(file)
  return render(what, result, divide(profile))
}

function render(
  what: string,
  result: LoadResult,
  { parts, functions, busyMs }: ReturnType<typeof divide>,
): string {
  const line = ({ name, ms }: Part) =>
    `${((ms * 100) / busyMs).toFixed(1).padStart(6)} %  ${((ms * 1000) / result.answered).toFixed(1).padStart(7)} µs  ${name}`
  return `${what}
${Math.round(perSecond(result)).toLocaleString('en')} a second while profiled; the event loop was busy for ${((busyMs / result.seconds / 1000) * 100).toFixed(0)} % of the time,
${((busyMs * 1000) / result.answered).toFixed(0)} µs for each. Threads that hash are not in it.

Where that time goes, as a share and for each request:

${parts.map(line).join('\n')}

By function, without what it calls (the first ${FUNCTIONS}):

${functions.slice(0, FUNCTIONS).map(line).join('\n')}
`
}
