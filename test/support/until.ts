import { setTimeout as sleep } from 'node:timers/promises'

const DEADLINE_MS = 20_000

/** Waits until a condition holds; fails, naming what was waited for, when that takes too long. */
export async function until(what: string, holds: () => unknown): Promise<void> {
  const deadline = process.hrtime.bigint() + BigInt(DEADLINE_MS) * 1_000_000n
  while (!(await holds())) {
    if (process.hrtime.bigint() > deadline) throw new Error(`Waited too long until ${what}`)
    await sleep(2)
  }
}
