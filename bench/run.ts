import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { createBench } from './bench.ts'
import { FOLDER } from './data.ts'
import { writeProfile } from './profile/profile.ts'
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
import { verifier } from './scenarios/verifier.ts'
import { workers } from './scenarios/workers.ts'

const SCENARIOS: Scenario[] = [
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
  verifier,
]

const DOCS = join(import.meta.dirname, '../docs/benchmarks')
const RESULTS = join(FOLDER, 'results')

type Options = {
  quick?: boolean
  only?: string[]
  profile?: string[] | true
  url?: string
  rounds?: number
  postgres?: string
  out?: string
}

const names = SCENARIOS.map(({ name }) => name)
const profilable = SCENARIOS.filter(({ profiled }) => profiled).map(({ name }) => name)

const program = new Command('npm run bench --')
  .description('Measures Postern against the limits of this machine, and says how near it comes.')
  .option('--quick', 'in under 90 seconds: a tenth of the data, three short rounds; not to be quoted')
  .addOption(new Option('--only <name...>', 'only these').choices(names))
  .option(
    '--url <url>',
    'another server with the same API, e.g. http://127.0.0.1:8000/api/v1; registers 32 people there',
  )
  .addOption(
    new Option(
      '--profile [name...]',
      "where the event loop's time goes in these, or in all of them, instead of measuring",
    ).choices(profilable),
  )
  .option(
    '--rounds <number>',
    'interleaved rounds of each measurement (default: 5, with --quick 3)',
    parseRounds,
  )
  .option('--postgres <url>', 'a PostgreSQL server to make databases on, instead of the one from npm')
  .option(
    '--out <folder>',
    'where to write the results (default: docs/benchmarks for a whole run and profiles, else bench/data/results)',
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

function parseRounds(text: string): number {
  const rounds = Number(text)
  if (!Number.isInteger(rounds) || rounds < 1) throw new InvalidArgumentError('A whole number from 1 on.')
  return rounds
}

function run({ profile, ...options }: Options): Promise<void> {
  if (profile === undefined) return measure(options)
  return writeProfiles(profile === true ? profilable : profile, options)
}

async function writeProfiles(names: string[], { quick: isQuick = false, out, ...options }: Options) {
  const folder = out ?? (isQuick ? RESULTS : DOCS)
  mkdirSync(folder, { recursive: true })
  const progress = createProgress(names.length)
  await using bench = createBench({ ...options, isQuick }, progress.report)
  for (const scenario of SCENARIOS.filter(({ name }) => names.includes(name))) {
    if (!scenario.profiled) continue
    progress.begin(`profile of ${scenario.name}: ${scenario.what}`)
    await writeProfile(scenario, scenario.profiled, bench, folder)
  }
  progress.clear()
  process.stderr.write(`Written to ${folder}\n`)
}

async function measure({ quick: isQuick = false, only, url, out, ...options }: Options): Promise<void> {
  const scenarios = url ? [createRemote(url)] : SCENARIOS.filter(({ name }) => only?.includes(name) ?? true)
  const isWhole = !isQuick && !only && !url
  const folder = out ?? (isWhole ? DOCS : RESULTS)
  const startedAt = performance.now()
  const progress = createProgress(scenarios.length)
  await using bench = createBench({ ...options, isQuick }, progress.report)
  const outcomes: Outcome[] = []
  for (const scenario of scenarios) {
    progress.begin(`${scenario.name}: ${scenario.what}`)
    outcomes.push(...(await runScenario(scenario, bench)))
  }
  progress.clear()
  process.stdout.write(renderTable(outcomes))
  const postgres = await bench.readPostgresVersion()
  const tookMs = performance.now() - startedAt
  writeReport(folder, { outcomes, rounds: bench.rounds, isQuick, postgres, tookMs })
  process.stderr.write(`Written to ${folder}: README.md, latest.json, chart.svg\n`)
}

/** A scenario that fails does not take the others along, but the run has failed. */
async function runScenario(scenario: Scenario, bench: Bench): Promise<Outcome[]> {
  try {
    return await scenario.run(bench)
  } catch (error) {
    process.stderr.write(`\n${scenario.name} failed: ${error instanceof Error ? error.stack : error}\n`)
    process.exitCode = 1
    return []
  }
}
