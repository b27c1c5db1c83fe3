import { type Clock, systemClock } from '../../src/core/clock.ts'
import type { Environment } from '../../src/core/settings/read.ts'
import type { Finding } from '../../src/doctor/check.ts'
import { examine } from '../../src/doctor/examine.ts'

/** What is found with these settings alone, by check. */
export async function diagnose(
  env: Environment,
  { directory = '/nonexistent', clock = systemClock }: { directory?: string; clock?: Clock } = {},
): Promise<Diagnosis> {
  const findings = await examine({ env, directory }, clock)
  return {
    findings,
    level: (check) => findings.find((finding) => finding.check === check)?.level,
    what: (check) => findings.filter((finding) => finding.check === check).map(({ what }) => what ?? ''),
    found: (...ignored) =>
      findings
        .filter(({ level, check }) => level !== 'ok' && ![...OF_THE_MACHINE, ...ignored].includes(check))
        .map(({ check }) => check),
  }
}

/** What follows from where the tests run, and from no mail server that most of them have. */
const OF_THE_MACHINE = [
  'machine.root',
  'machine.open_files',
  'sqlite.disk_space',
  'mail.set_up',
  'mail.leaves',
]

export type Diagnosis = {
  findings: Finding[]
  /** Undefined where the check does not apply. */
  level(check: string): Finding['level'] | undefined
  what(check: string): string[]
  /** The checks that found something, but for those. */
  found(...ignored: string[]): string[]
}
