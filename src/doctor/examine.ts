import { debuglog } from 'node:util'
import { type Clock, SECOND, systemClock } from '../core/clock.ts'
import type { SettingsOptions } from '../core/settings.ts'
import { within } from '../core/within.ts'
import { type CheckDescription, type Finding, type Group, NotLookedAt } from './check.ts'
import { GROUPS } from './groups.ts'
import { createScene, type Scene } from './scene.ts'

/** More than a database needs to refuse a connection and then a query. */
const LIMIT_MS = 15 * SECOND

const NOT_LOOKED_AT = {
  id: 'doctor.not_looked_at',
  level: 'warning',
  why: 'What was not looked at may be wrong',
  mend: 'Mend what keeps it from being looked at, and run `postern doctor` again',
} as const satisfies CheckDescription

/** Everything that `examine` may say, in the order in which it does. */
export const DESCRIPTIONS: readonly CheckDescription[] = [
  ...GROUPS.flatMap(({ checks }) => checks),
  NOT_LOOKED_AT,
]

const debug = debuglog('postern')

/** A group that could not be looked at, and why. */
type Omission = { group: string; reason: string }

/**
 * Looks at everything, one group after the other, for 15 seconds each at most. It changes nothing, creates nothing, and
 * does not throw: what keeps it from looking is a finding.
 */
export async function examine(options: SettingsOptions = {}, clock: Clock = systemClock): Promise<Finding[]> {
  const scene = createScene(options, clock)
  const findings: Finding[] = []
  const omissions: Omission[] = []
  try {
    for (const group of GROUPS) {
      const found = await examineGroup(group, scene)
      if (Array.isArray(found)) findings.push(...found)
      else omissions.push(found)
    }
    return [...findings, ...tellOmissions(omissions)]
  } finally {
    await scene.close()
  }
}

/** Whatever happens, there is an answer in time. */
export async function examineGroup(
  group: Group,
  scene: Scene,
  limitMs = LIMIT_MS,
): Promise<Finding[] | Omission> {
  const late = () => new NotLookedAt(`it took longer than ${limitMs / SECOND} seconds`)
  try {
    return await within(limitMs, group.examine(scene), late)
  } catch (error) {
    debug('%o', error)
    return { group: group.name, reason: reasonOf(error) }
  }
}

/** The message of an error that is not ours could hold a secret. */
function reasonOf(error: unknown): string {
  if (error instanceof NotLookedAt) return error.message
  const { code, name } = error as NodeJS.ErrnoException
  return `it failed (${code ?? name}); NODE_DEBUG=postern shows where`
}

function tellOmissions(omissions: readonly Omission[]): Finding[] {
  const { id, ...description } = NOT_LOOKED_AT
  return [...Map.groupBy(omissions, ({ reason }) => reason)].map(([reason, omitted]) => {
    const groups = omitted.map(({ group }) => group).join(', ')
    return { check: id, what: `Not looked at: ${groups}; ${reason}`, ...description }
  })
}
