import { parseArgs } from 'node:util'
import { Stryker } from '@stryker-mutator/core'
import { sharedPrograms, startPostgres } from '../../test/support/postgres.ts'
import { GROUPS, type Group } from './groups.ts'
import { type Mutant, summary, unexplained } from './survivors.ts'

const HELP = `Usage: npm run test:mutation [-- GROUP...]

Changes the code in some two thousand places, one at a time, and runs the tests: a change that no test notices has survived.
Groups: ${Object.keys(GROUPS).join(', ')}; all of them when none is named. Takes hours.
Results of each are in .stryker-report/GROUP.html. Fails when less than 85 % are noticed,
or when docs/assurance/survivors.tsv does not say of one that survived why that is no harm.
PostgreSQL is the server of TEST_DATABASE_URL, else one that is started for the run.
`
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean' } },
})
const names = positionals.length > 0 ? positionals : Object.keys(GROUPS)
const unknown = names.filter((name) => GROUPS[name] === undefined)

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
    for (const name of names) mutants.push(...(await mutate(name, GROUPS[name] as Group)))
    const { text, isEnough } = summary(mutants)
    const problems = unexplained(mutants)
    process.stdout.write([text, ...problems, ''].join('\n'))
    return isEnough && problems.length === 0
  } finally {
    await server?.stop()
  }
}

function mutate(name: string, { mutate, tests, database }: Group): Promise<Mutant[]> {
  if (database) process.env.TEST_DATABASE = database
  else delete process.env.TEST_DATABASE
  const report = `.stryker-report/${name}`
  return new Stryker({
    mutate,
    tap: { testFiles: tests },
    jsonReporter: { fileName: `${report}.json` },
    htmlReporter: { fileName: `${report}.html` },
  }).runMutationTest()
}
