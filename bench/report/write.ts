import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { isMet, type Outcome } from '../scenario.ts'
import { renderChart } from './chart.ts'
import { renderMarkdownTable } from './table.ts'

const GIB = 2 ** 30
const GUIDE = resolve(import.meta.dirname, '../README.md')

export type Run = {
  outcomes: Outcome[]
  rounds: number
  isQuick: boolean
  postgres: string | undefined
  tookMs: number
}

/** Writes the figures (`latest.json`), the chart and the table. */
export function writeReport(folder: string, run: Run): void {
  mkdirSync(folder, { recursive: true })
  const machine = describeMachine()
  const date = new Date().toISOString().slice(0, 10)
  const figures = { date, machine, ...run, outcomes: run.outcomes.map((o) => ({ ...o, met: isMet(o) })) }
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify(figures, null, 2)}\n`)
  writeFileSync(
    join(folder, 'chart.svg'),
    renderChart(run.outcomes, `${date} · ${machine.processor}, ${machine.cores} cores`),
  )
  writeFileSync(join(folder, 'README.md'), renderPage(folder, run, machine, date))
}

type Machine = ReturnType<typeof describeMachine>

const describeMachine = () => ({
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  memoryGib: Math.round(totalmem() / GIB),
  system: `${type()} ${release()}`,
  node: process.version,
})

const renderPage = (
  folder: string,
  run: Run,
  machine: Machine,
  date: string,
): string => `# How near to the limit of the machine

Absolute figures mean nothing on another machine. So each is set beside a limit that was measured in the same run, in turn
with it, on the same machine; what counts is the ratio of the two, the median over ${run.rounds} rounds.

![The ratios as a chart](chart.svg)

Measured on ${date} in ${Math.max(1, Math.round(run.tookMs / 60_000))} minutes: ${machine.processor}, ${machine.cores} cores, ${machine.memoryGib} GiB, ${machine.system},
Node ${machine.node}${run.postgres ? `, PostgreSQL ${run.postgres}` : ''}. Server, database and load share the machine.

${renderMarkdownTable(run.outcomes)}

Processor time, as far as the system tells it:

${run.outcomes.flatMap(({ name, notes }) => notes.map((note) => `- \`${name}\`: ${note}`)).join('\n')}

## Again

\`\`\`
npm ci
npm run bench                  # everything, about a quarter of an hour; writes this page
npm run bench -- --quick       # under 90 seconds, too short to be quoted
npm run bench -- --help        # one scenario alone, another server, another PostgreSQL
\`\`\`

How it measures, and how to read it: [bench/README.md](${relative(resolve(folder), GUIDE)}). The figures of every round:
[latest.json](latest.json).
${renderOthers(folder)}`

/** What else lies there: why targets are missed, and where the time goes. */
function renderOthers(folder: string): string {
  const others = readdirSync(folder).filter((name) => name === 'analysis.md' || name.startsWith('profile-'))
  if (others.length === 0) return ''
  const links = others.map((name) => `[${name}](${name})`).join(', ')
  return `\nWhat misses its target and why, and where the time goes: ${links}.\n`
}
