import { parseArgs } from 'node:util'
import { Stryker } from '@stryker-mutator/core'
import { sharedPrograms, startPostgres } from '../../test/support/postgres.ts'
import { GROUPS, type Part } from './groups.ts'
import { type Mutant, summary, unexplained } from './survivors.ts'

const HELP = `Usage: npm run test:mutation [-- GROUP or GROUP/PART...]

Changes the code in some two thousand places, one at a time, and runs the tests: a change that no test notices has survived.
Groups: ${Object.keys(GROUPS).join(', ')}; all of them when none is named. Takes hours, on a machine that does
nothing else: a test that is late counts as one that noticed.
Results of each part are in .stryker-report/GROUP-PART.html. Fails when less than 85 % are noticed,
or when docs/assurance/survivors.tsv does not say of one that survived why that is no harm.
PostgreSQL is the server of TEST_DATABASE_URL, else one that is started for the run.
`
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean' } },
})
const parts = Object.entries(GROUPS).flatMap(([group, own]) =>
  Object.entries(own).map(([name, part]) => ({ group, path: `${group}/${name}`, part })),
)
const names = positionals.length > 0 ? positionals : Object.keys(GROUPS)
const isNamed = (name: string) => (one: { group: string; path: string }) =>
  one.group === name || one.path === name
const unknown = names.filter((name) => !parts.some(isNamed(name)))

if (flags.help) process.stdout.write(HELP)
else if (unknown.length > 0) {
  process.stderr.write(`There is no group ${unknown.join(', ')}.\n\n${HELP}`)
  process.exitCode = 2
} else process.exitCode = (await main()) ? 0 : 1

async function main(): Promise<boolean> {
  const server = process.env.TEST_DATABASE_URL ? undefined : await startPostgres()
  if (server) Object.assign(process.env, { TEST_DATABASE_URL: server.url }, sharedPrograms(server))
  try {
    const mutants: Mutant[] = []
    for (const { path, part } of parts.filter((one) => names.some((name) => isNamed(name)(one)))) {
      mutants.push(...(await mutate(path, part)))
    }
    const { text, isEnough } = summary(mutants)
    const problems = unexplained(mutants)
    process.stdout.write([text, ...problems, ''].join('\n'))
    return isEnough && problems.length === 0
  } finally {
    await server?.stop()
  }
}

function mutate(path: string, { mutate, tests, database }: Part): Promise<Mutant[]> {
  if (database) process.env.TEST_DATABASE = database
  else delete process.env.TEST_DATABASE
  const report = `.stryker-report/${path.replace('/', '-')}`
  return new Stryker({
    mutate,
    tap: { testFiles: tests },
    jsonReporter: { fileName: `${report}.json` },
    htmlReporter: { fileName: `${report}.html` },
  }).runMutationTest()
}
