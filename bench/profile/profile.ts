import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FOLDER } from '../data.ts'
import type { LoadResult } from '../load/load.ts'
import type { Bench, Profiled } from '../scenario.ts'
import { requireAnswered, warmUp } from '../scenarios/measure.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { divide, type Part } from './parts.ts'

const SECONDS = 10
const WRITTEN_WITHIN_MS = 30_000
const FUNCTIONS = 25
const RECORDER = new URL('./recorder.mjs', import.meta.url).href

/** Writes where the event loop's time goes under a scenario's load, as `profile-NAME.txt`. */
export async function writeProfile(
  { name, what }: { name: string; what: string },
  profiled: Profiled,
  bench: Bench,
  folder: string,
): Promise<void> {
  const { result, profile } = await record(profiled, bench)
  writeFileSync(join(folder, `profile-${name}.txt`), render(what, result, divide(profile)))
}

async function record({ on, load }: Profiled, bench: Bench) {
  const dataset = await bench[on]()
  const file = join(FOLDER, 'profile.json')
  rmSync(file, { force: true })
  await using server = await startServer(dataset, {
    env: { PROFILE_FILE: file },
    nodeOptions: ['--import', RECORDER],
  })
  const site = siteOf(server, dataset)
  const next = load(site)
  await warmUp(bench, site)
  await bench.send({ ...next(), seconds: bench.warmUpSeconds })
  process.kill(server.pid, 'SIGUSR2')
  const result = requireAnswered(await bench.send({ ...next(), seconds: SECONDS }))
  process.kill(server.pid, 'SIGUSR2')
  const end = performance.now() + WRITTEN_WITHIN_MS
  while (!existsSync(file) && performance.now() < end) await sleep(100)
  const profile = JSON.parse(readFileSync(file, 'utf8'))
  rmSync(file)
  return { result, profile }
}

function render(
  what: string,
  result: LoadResult,
  { parts, functions, busyMs }: ReturnType<typeof divide>,
): string {
  const line = ({ name, ms }: Part) =>
    `${((ms * 100) / busyMs).toFixed(1).padStart(6)} %  ${((ms * 1000) / result.answered).toFixed(1).padStart(7)} µs  ${name}`
  return `${what}
${Math.round(result.perSecond).toLocaleString('en')} a second while profiled; the event loop was busy for ${((busyMs / result.seconds / 1000) * 100).toFixed(0)} % of the time,
${((busyMs * 1000) / result.answered).toFixed(0)} µs for each. Threads that hash are not in it.

Where that time goes, as a share and for each request:

${parts.map(line).join('\n')}

By function, without what it calls (the first ${FUNCTIONS}):

${functions.slice(0, FUNCTIONS).map(line).join('\n')}
`
}
