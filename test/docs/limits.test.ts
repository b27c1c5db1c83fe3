import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { LIMITS } from '../../src/http/limits.ts'
import { readProjectFile, section, tableRows } from '../support/documents.ts'

const UNITS = [
  [DAY, 'day'],
  [HOUR, 'hour'],
  [MINUTE, 'minute'],
  [SECOND, 'second'],
] as const

function describeWindow(ms: number): string {
  const [unitMs, unit] = UNITS.find(([unitMs]) => ms % unitMs === 0) ?? assert.fail(`${ms} ms`)
  const count = ms / unitMs
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

it('[V6.1.1] the table of limits is that of the code', () => {
  const documented = tableRows(section(readProjectFile('docs/limits.md'), 'Every limit'))
  const expected = Object.entries(LIMITS)
    .filter(([, { most }]) => Number.isFinite(most))
    .map(([name, { most, windowMs, countedBy, isPerThread }]) => [
      `\`${name}\``,
      isPerThread ? `${most} for each hash thread` : String(most),
      describeWindow(windowMs),
      countedBy,
    ])
  assert.deepEqual(documented, expected)
})
