import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import pg from 'pg'
import { startPostgres } from '../test/support/postgres.ts'
import { startChild } from './child.ts'
import { buildPostgres, buildSqlite, type Dataset } from './data.ts'
import type { Load, LoadResult } from './load/load.ts'
import { profiledNames, writeProfiles } from './profile/profile.ts'
import { createProgress } from './progress.ts'
import { renderTable } from './report/table.ts'
import { writeReport } from './report/write.ts'
import type { Bench, Outcome, Scenario } from './scenario.ts'
import { flood } from './scenarios/flood.ts'
import { growth } from './scenarios/growth.ts'
import { login } from './scenarios/login.ts'
import { meFirstSeen } from './scenarios/me-first-seen.ts'
import { mePostgres } from './scenarios/me-postgres.ts'
import { meSqlite } from './scenarios/me-sqlite.ts'
import { refreshPostgres } from './scenarios/refresh-postgres.ts'
import { refreshSqlite } from './scenarios/refresh-sqlite.ts'
import { createRemote } from './scenarios/remote.ts'
import { startup } from './scenarios/startup.ts'
import { workers } from './scenarios/workers.ts'

const SCENARIOS = [
  login,
  meSqlite,
  meFirstSeen,
  mePostgres,
  refreshSqlite,
  refreshPostgres,
  flood,
  startup,
  growth,
  workers,
]

const WHOLE = { users: 100_000, sessions: 300_000, rounds: 5, seconds: 2, warmUpSeconds: 5 }
const QUICK = { users: 10_000, sessions: 30_000, rounds: 5, seconds: 0.3, warmUpSeconds: 1 }
const DOCS = join(import.meta.dirname, '../docs/benchmarks')
const RESULTS = join(import.meta.dirname, 'data/results')
/** As an operator would have it, but for the size: durable, and with the data in memory. */
const POSTGRES_SETTINGS = {
  fsync: 'on',
  full_page_writes: 'on',
  shared_buffers: '512MB',
  max_wal_size: '4GB',
}

type Options = {
  quick?: true
  only?: string[]
  profile?: string[] | true
  url?: string
  rounds?: number
  postgres?: string
  out?: string
}

const names = SCENARIOS.map(({ name }) => name)

const program = new Command('npm run bench --')
  .description('Measures Postern against the limits of this machine, and says how near it comes.')
  .option('--quick', 'in under 90 seconds, on a tenth of the data; too short to be quoted')
  .option('--only <name...>', `only these: ${names.join(', ')}`, chooseScenario)
  .option(
    '--url <url>',
    'another server with the same API, e.g. http://127.0.0.1:8000/api/v1; registers 32 people there',
  )
  .option(
    '--profile [name...]',
    `where the event loop's time goes, instead of measuring: ${profiledNames.join(', ')}, or all of them`,
    chooseProfile,
  )
  .option('--rounds <number>', 'interleaved rounds of each measurement (default: 5)', parseRounds)
  .option('--postgres <url>', 'a PostgreSQL server to make databases on, instead of the one from npm')
  .option(
    '--out <folder>',
    'where to write the results (default: docs/benchmarks for a whole run, else bench/data/results)',
  )
  .addHelpText(
    'after',
    `
Examples:
  npm run bench                                  everything; about 15 minutes
  npm run bench -- --quick                       a first look
  npm run bench -- --only me-sqlite login        two of them
  npm run bench -- --profile me-sqlite           where its time goes
  npm run bench -- --url http://127.0.0.1:8000/api/v1

Leave the machine alone meanwhile: whatever else runs is measured as well.`,
  )
  .action(run)

await program.parseAsync().catch((error) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
})

function chooseScenario(name: string, chosen: string[] = []): string[] {
  if (!names.includes(name)) throw new InvalidArgumentError(`There are: ${names.join(', ')}.`)
  return [...chosen, name]
}

function chooseProfile(name: string, chosen: string[] | true = []): string[] {
  if (!profiledNames.includes(name)) throw new InvalidArgumentError(`There are: ${profiledNames.join(', ')}.`)
  return [...(chosen === true ? [] : chosen), name]
}

function parseRounds(text: string): number {
  const rounds = Number(text)
  if (!Number.isInteger(rounds) || rounds < 1) throw new InvalidArgumentError('A whole number from 1 on.')
  return rounds
}

async function run(options: Options): Promise<void> {
  const { quick: isQuick = false, only, url, profile } = options
  const scenarios = url ? [createRemote(url)] : SCENARIOS.filter(({ name }) => only?.includes(name) ?? true)
  const size = isQuick ? QUICK : WHOLE
  const startedAt = performance.now()
  const progress = createProgress(scenarios.length)
  await using resources = new AsyncDisposableStack()
  const { bench, describePostgres } = createBench(
    resources,
    { ...size, ...options, isQuick },
    progress.report,
  )
  if (profile) {
    const folder = options.out ?? (isQuick ? RESULTS : DOCS)
    progress.begin('profiles')
    await writeProfiles(profile === true ? profiledNames : profile, bench, folder)
    progress.clear()
    process.stderr.write(`Written to ${folder}\n`)
    return
  }
  const outcomes: Outcome[] = []
  for (const scenario of scenarios) {
    progress.begin(`${scenario.name}: ${scenario.what}`)
    outcomes.push(...(await measure(scenario, bench)))
  }
  progress.clear()
  process.stdout.write(renderTable(outcomes))
  const isWhole = !isQuick && !only && !url
  const folder = options.out ?? (isWhole ? DOCS : RESULTS)
  const tookMs = performance.now() - startedAt
  writeReport(folder, { outcomes, rounds: bench.rounds, isQuick, postgres: await describePostgres(), tookMs })
  process.stderr.write(`Written to ${folder}: README.md, latest.json, chart.svg\n`)
}

/** A scenario that fails does not take the others along, but the run has failed. */
async function measure(scenario: Scenario, bench: Bench): Promise<Outcome[]> {
  try {
    return await scenario.run(bench)
  } catch (error) {
    process.stderr.write(`\n${scenario.name} failed: ${error instanceof Error ? error.stack : error}\n`)
    process.exitCode = 1
    return []
  }
}

type BenchSettings = typeof WHOLE & { isQuick: boolean; postgres?: string }

function createBench(resources: AsyncDisposableStack, settings: BenchSettings, report: Bench['report']) {
  const startGenerator = () => startChild<Load, LoadResult>(new URL('./load/generator.ts', import.meta.url))
  const generator = resources.use(startGenerator())
  const server = once(async () => settings.postgres ?? (await ownPostgres(resources)))
  const build: Bench['build'] = async (kind, name, size) =>
    kind === 'sqlite' ? buildSqlite(name, size) : buildPostgres(await server(), name, size)
  const buildOnce = (kind: Dataset['kind']) =>
    once(async () => {
      report(
        `building ${settings.users.toLocaleString('en')} users and ${settings.sessions.toLocaleString('en')} sessions`,
      )
      return resources.use(await build(kind, 'main', settings))
    })
  const { isQuick, rounds, seconds, warmUpSeconds } = settings
  const bench: Bench = {
    isQuick,
    rounds,
    seconds,
    warmUpSeconds,
    sqlite: buildOnce('sqlite'),
    postgres: buildOnce('postgres'),
    build,
    send: (load) => generator.ask(load),
    startGenerator,
    report,
  }
  return {
    bench,
    describePostgres: async () => (server.wasCalled() ? readVersion(await server()) : undefined),
  }
}

/** PostgreSQL from npm, durable as a real one is. */
async function ownPostgres(resources: AsyncDisposableStack): Promise<string> {
  const postgres = await startPostgres({ settings: POSTGRES_SETTINGS })
  resources.defer(() => postgres.stop())
  return postgres.url
}

async function readVersion(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query('show server_version')
  await client.end()
  return rows[0].server_version
}

/** The same function, which works but once. */
function once<T>(work: () => Promise<T>) {
  let result: Promise<T> | undefined
  const call = () => {
    result ??= work()
    return result
  }
  return Object.assign(call, { wasCalled: () => result !== undefined })
}
