import type { DatabaseKind } from '../test/support/databases.ts'
import type { Child } from './child.ts'
import type { Dataset, Size, SqliteDataset } from './data.ts'
import type { Load, LoadResult } from './load/load.ts'
import type { NextLoad } from './load/loads.ts'
import type { Site } from './site.ts'

/** What every scenario works with. */
export type Bench = {
  isQuick: boolean
  rounds: number
  /** How long one measurement lasts. */
  seconds: number
  /** How long a server is driven before it counts: what is hot is compiled by then, as it is in a server that lives for weeks. */
  warmUpSeconds: number
  /** Built when first asked for. */
  sqlite(): Promise<SqliteDataset>
  postgres(): Promise<Dataset>
  /** One more of another size; whoever asks disposes of it. */
  build(kind: DatabaseKind, name: string, size: Size): Promise<Dataset>
  /** Sends a load from another process. */
  send(load: Load): Promise<LoadResult>
  /** A further process to send from, at the same time. */
  startGenerator(): Child<Load, LoadResult>
  /** Shows how far it has come. */
  report(text: string): void
}

export type Target = { atLeast: number } | { atMost: number }

/** One line of the table. */
export type Outcome = {
  name: string
  /** What was measured, in one line. */
  what: string
  /** What it was measured against, in one line. */
  limit: string
  unit: string
  /** Every round. */
  measured: number[]
  beside: number[]
  /** Median over the rounds of one to the other; what the target speaks of. */
  ratio: number
  /** Absent where a figure is only reported. */
  target?: Target
  /** Whatever else the figures say. */
  notes: string[]
}

export type Profiled = { on: DatabaseKind; load(site: Site): NextLoad }

export type Scenario = {
  name: string
  what: string
  /** The load that it measures, where its server can be profiled under it. */
  profiled?: Profiled
  run(bench: Bench): Promise<Outcome[]>
}

export const isMet = ({ ratio, target }: Outcome): boolean | undefined => {
  if (!target) return undefined
  return 'atLeast' in target ? ratio >= target.atLeast : ratio <= target.atMost
}
