import { median } from '../test/support/statistics.ts'
import type { Bench } from './scenario.ts'

type Measurements = Record<string, () => Promise<unknown>>
type Found<M extends Measurements> = { [Name in keyof M]: Awaited<ReturnType<M[Name]>>[] }

/**
 * Runs each measurement once a round, in turn, so that whatever else the machine does meets all of them alike.
 * @returns what each found, round by round
 */
export async function inTurn<M extends Measurements>(
  { rounds, report }: Pick<Bench, 'rounds' | 'report'>,
  measurements: M,
): Promise<Found<M>> {
  const found: Record<string, unknown[]> = {}
  for (let round = 1; round <= rounds; round += 1) {
    for (const [name, measure] of Object.entries(measurements)) {
      found[name] ??= []
      found[name].push(await measure())
    }
    report(`round ${round}`)
  }
  return found as Found<M>
}

/** The median over the rounds of what was measured to what was measured beside it. */
export const medianRatio = (measured: number[], limit: number[]): number =>
  median(measured.map((value, round) => value / (limit[round] ?? Number.NaN)))
