import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { glob, mkdir, mkdtemp } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parseArgs } from 'node:util'
import { compareWithRun, findTaggedTests } from '../tools/assurance/tagged-tests.ts'
import { type CheckReport, readCoverage, reportCoverage } from './support/coverage.ts'
import { findLeaks } from './support/leaks.ts'
import { type PostgresServer, sharedPrograms, startPostgres } from './support/postgres.ts'
import { createTally, diagnostic, type Tally, type TestEvent } from './support/tally.ts'
import { TRACES_VARIABLE } from './support/traces.ts'

const HELP = `Usage: node test/run.ts [--full] [--no-coverage] [FILE or NAME...]

A NAME that is part of the path of test files selects those, else the tests whose name matches it.
Files called NAME.alone.test.ts measure time: they run after all others, one by one.
PostgreSQL is the server of TEST_DATABASE_URL, else one that is started for the run.
`
const ROOT = resolve(import.meta.dirname, '..')
const MINUTE_MS = 60_000
const GRACE_MS = 10_000
const NOTHING: CheckReport = { passed: true, lines: [] }

type Selection = { files: string[]; names: RegExp[] }
type Run = Selection & { tally: Tally; signal: AbortSignal; coverage: string | undefined; isGated: boolean }

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { full: { type: 'boolean' }, 'no-coverage': { type: 'boolean' }, help: { type: 'boolean' } },
})

if (flags.help) process.stdout.write(HELP)
else process.exit((await main()) ? 0 : 1)

async function main(): Promise<boolean> {
  const selection = await selectTests(positionals)
  const gated = !flags.full && !flags['no-coverage'] && positionals.length === 0
  const tally = createTally()
  const signal = abortOnSignalOrTimeout(flags.full ? 40 : 30, tally)
  const server = process.env.TEST_DATABASE_URL ? undefined : await startPostgres()
  const folder = await mkdtemp(join(tmpdir(), 'postern-run-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  try {
    const coverage = gated ? join(folder, 'coverage') : undefined
    await setEnvironment(folder, server)
    const passed = await runTests({ ...selection, tally, signal, coverage, isGated: gated })
    return passed && !signal.aborted
  } finally {
    await server?.stop()
  }
}

async function selectTests(words: string[]): Promise<Selection> {
  const folder = process.cwd()
  process.chdir(ROOT)
  const all = (await Array.fromAsync(glob('test/**/*.test.ts'))).sort()
  const files = new Set<string>()
  const names: RegExp[] = []
  for (const word of words) {
    const path = relative(ROOT, resolve(folder, word))
    const matches = all.filter((file) => file === path || file.includes(word))
    if (matches.length === 0) names.push(new RegExp(word, 'i'))
    for (const file of matches) files.add(file)
  }
  return { files: files.size > 0 ? [...files] : all, names }
}

/** What the tests' processes inherit; temporary files land in one folder that the run removes. */
async function setEnvironment(folder: string, server: PostgresServer | undefined): Promise<void> {
  const temporary = join(folder, 'tmp')
  const traces = join(folder, 'traces')
  for (const path of [temporary, traces]) await mkdir(path)
  process.env.TMPDIR = temporary
  process.env[TRACES_VARIABLE] = traces
  if (flags.full) process.env.TEST_FULL = '1'
  if (server) Object.assign(process.env, { TEST_DATABASE_URL: server.url }, sharedPrograms(server))
}

async function runTests(options: Run): Promise<boolean> {
  let passed = true
  const events = async function* (): AsyncGenerator<TestEvent> {
    yield* runFiles(options)
    for (const line of options.tally.slowest(10)) yield diagnostic(`slow: ${line}`)
    const checks = [await checkCoverage(options), checkAssurance(options), await checkTraces(options)]
    for (const check of checks) {
      for (const line of check.lines) yield diagnostic(line, check.passed ? 'info' : 'error')
    }
    yield* options.tally.totals()
    passed = checks.every((check) => check.passed) && options.tally.passed()
  }
  const report = Readable.from(events()).compose(new spec())
  report.pipe(process.stdout, { end: false })
  await once(report, 'end')
  return passed
}

async function* runFiles({ files, names, tally, signal, coverage }: Run): AsyncGenerator<TestEvent> {
  const alone = files.filter((file) => file.endsWith('.alone.test.ts'))
  const together = files.filter((file) => !alone.includes(file))
  // One more than there are cores: several tests wait for real time-outs.
  const parallel = Math.max(2, Math.min(4, availableParallelism() + 1))
  if (coverage) {
    process.env.NODE_V8_COVERAGE = coverage
    // What comes out of the cache is covered less exactly.
    process.env.NODE_DISABLE_COMPILE_CACHE = '1'
  }
  yield* runPhase(together, parallel)
  // Measuring coverage would change the times that these measure.
  delete process.env.NODE_V8_COVERAGE
  delete process.env.NODE_DISABLE_COMPILE_CACHE
  yield* runPhase(alone, 1)

  async function* runPhase(phase: string[], concurrency: number): AsyncGenerator<TestEvent> {
    if (phase.length === 0 || signal.aborted) return
    const events: AsyncIterable<TestEvent> = run({
      files: phase,
      concurrency,
      testNamePatterns: names,
      signal,
    })
    for await (const event of events) if (tally.take(event)) yield event
  }
}

/** Without the coverage of a run that was cut short, which would only say that it was. */
async function checkCoverage({ coverage, signal }: Run): Promise<CheckReport> {
  if (coverage === undefined || signal.aborted) return NOTHING
  return reportCoverage(await readCoverage(coverage, ROOT))
}

/** Whether every test that claims to show a requirement has run: docs/assurance names it. */
function checkAssurance({ isGated, signal, tally }: Run): CheckReport {
  if (!isGated || signal.aborted) return NOTHING
  const lines = compareWithRun(findTaggedTests(), tally.passedTests())
  return { passed: lines.length === 0, lines }
}

/** Whether no log, no output and no event holds a password, a key or a token that the tests have used. */
async function checkTraces({ isGated, signal }: Run): Promise<CheckReport> {
  if (signal.aborted) return NOTHING
  const { leaks, summary, searched } = await findLeaks(process.env[TRACES_VARIABLE] ?? '')
  const missing = Object.keys(searched).filter((kind) => isGated && searched[kind] === 0)
  const lines = missing.map((kind) => `of the kind "${kind}" nothing was collected to look for secrets in`)
  return { passed: leaks.length + lines.length === 0, lines: [summary, ...leaks, ...lines] }
}

/** Ends the run, with a line that says why, after so many minutes or when told to. */
function abortOnSignalOrTimeout(minutes: number, tally: Tally): AbortSignal {
  const controller = new AbortController()
  const abort = (reason: string) => {
    if (controller.signal.aborted) return
    const message = `${reason} Running: ${tally.running().join(', ') || 'nothing'}`
    process.stderr.write(`\n${message}\n`)
    controller.abort(new Error(message))
    setTimeout(() => process.exit(1), GRACE_MS).unref()
  }
  setTimeout(() => abort(`The tests took longer than ${minutes} minutes.`), minutes * MINUTE_MS).unref()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => abort(`Got ${name}.`))
  return controller.signal
}
