import { median } from '../../test/support/statistics.ts'
import { isMet, type Outcome } from '../scenario.ts'

/** A figure to three significant digits, thousands in full. */
export function formatNumber(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en')
  return value.toPrecision(3).replace(/\.0+$/, '')
}

/** A measured figure with its unit; the median where there were rounds. */
export const formatFigure = (values: number[], unit: string): string =>
  `${formatNumber(median(values))} ${unit}`

export const formatTarget = ({ target }: Outcome): string => {
  if (!target) return ''
  return 'atLeast' in target ? `>= ${target.atLeast}` : `<= ${target.atMost}`
}

export function formatVerdict(outcome: Outcome): string {
  const met = isMet(outcome)
  if (met === undefined) return 'reported'
  return met ? 'met' : 'missed'
}
