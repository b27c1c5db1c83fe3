import type { Outcome } from '../scenario.ts'
import { formatFigure, formatTarget, formatVerdict } from './numbers.ts'

const HEADINGS = ['scenario', 'measured', 'beside it', 'ratio', 'target', '']

const cells = (outcome: Outcome): string[] => [
  outcome.name,
  formatFigure(outcome.measured, outcome.unit),
  formatFigure(outcome.beside, outcome.unit),
  outcome.ratio.toFixed(2),
  formatTarget(outcome),
  formatVerdict(outcome),
]

/** The outcomes for a terminal, and below it what each limit is. */
export function renderTable(outcomes: Outcome[]): string {
  const rows = [HEADINGS, ...outcomes.map(cells)]
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return [...lines, '', ...outcomes.flatMap(explain), ''].join('\n')
}

const explain = ({ name, what, limit, notes }: Outcome): string[] => [
  `${name}: ${what}; beside it: ${limit}`,
  ...notes.map((note) => `  ${note}`),
]

/** The same for a page. */
export function renderMarkdownTable(outcomes: Outcome[]): string {
  const rows = outcomes.map((outcome) => {
    const [name, measured, beside, ratio, target, verdict] = cells(outcome)
    const what = `\`${name}\`: ${outcome.what}`
    return `| ${what} | ${measured} | ${outcome.limit} | ${beside} | ${ratio} | ${target} | ${verdict} |`
  })
  return [
    '| what | measured | beside it | there | ratio | target | |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}
