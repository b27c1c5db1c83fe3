import { styleText } from 'node:util'
import type { Finding, Level } from '../../doctor/check.ts'
import { examine } from '../../doctor/examine.ts'
import { FAILED } from '../failures.ts'
import { count, print, printJson, visible } from '../output.ts'

export type DoctorOptions = { strict?: boolean; json?: boolean }

const COLORS = { error: 'red', warning: 'yellow', info: 'blue', ok: 'green' } as const
const LEVELS: readonly Level[] = ['error', 'warning', 'info', 'ok']

/** Tells what is wrong or weak; errors, with `strict` also warnings, are a failure. */
export async function runDoctor({ strict, json }: DoctorOptions): Promise<void> {
  const findings = await examine()
  const ok = !findings.some(({ level }) => level === 'error' || (strict && level === 'warning'))
  if (json) await printJson({ ok, findings })
  else await print(toText(findings))
  if (!ok) process.exitCode = FAILED
}

function toText(findings: readonly Finding[]): string {
  const groups = Map.groupBy(findings, ({ check }) => check.split('.', 1)[0] ?? '')
  const sections = [...groups].map(([name, group]) => toSection(name, group))
  return `${sections.join('')}\n${tally(findings)}\n`
}

function toSection(name: string, group: readonly Finding[]): string {
  const heading = `${styleText('bold', name.padEnd(12))} ${tally(group)}\n`
  return (
    heading +
    group
      .filter(({ level }) => level !== 'ok')
      .map(toParagraph)
      .join('')
  )
}

const toParagraph = ({ level, check, what = '', why, mend }: Finding): string =>
  `  ${styleText(COLORS[level], level)}  ${visible(what)}.\n    Why:  ${why}.\n    Mend: ${mend}.  [${check}]\n`

/** "1 error, 2 warnings, 12 ok": what there is none of is left out. */
const tally = (findings: readonly Finding[]): string =>
  LEVELS.map((level) => ({ level, found: findings.filter((finding) => finding.level === level).length }))
    .filter(({ found }) => found > 0)
    .map(({ level, found }) =>
      level === 'error' || level === 'warning' ? count(found, level) : `${found} ${level}`,
    )
    .join(', ')
