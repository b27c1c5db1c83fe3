import type { EventData } from 'node:test'
import type { TestEvent } from 'node:test/reporters'
import type { RunTest } from '../../tools/assurance/tagged-tests.ts'

export type { TestEvent }

type TestResult = EventData.TestPass | EventData.TestFail

const COUNTS = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo', 'duration_ms']

export type Tally = {
  /** Passes on what a reporter should show at once; keeps back each run's own totals. */
  take(event: TestEvent): boolean
  /** Whether nothing failed and at least one test ran. */
  passed(): boolean
  /** The totals of all runs, in the form and order of node's own. */
  totals(): TestEvent[]
  slowest(count: number): string[]
  /** The tests that ran and passed; no suites, nothing that was skipped or is still to be done. */
  passedTests(): RunTest[]
  /** Test files begun and not ended. */
  running(): string[]
}

/** Adds up several runs of node's test runner, so that one report shows them as one. */
export function createTally(): Tally {
  const totals = new Map<string, number>(COUNTS.map((name) => [name, 0]))
  const durations = new Map<string, { label: string; ms: number }>()
  const parents = new Set<string>()
  const running = new Set<string>()
  const passedTests: RunTest[] = []
  let tests = 0

  const takeTotal = (message: string): boolean => {
    const [, name = '', value] = /^(\w+) ([\d.]+)$/.exec(message) ?? []
    const sum = totals.get(name)
    if (sum !== undefined) totals.set(name, sum + Number(value))
    return sum !== undefined
  }
  const takeResult = ({ name, testId, parentId, details, ...place }: TestResult): void => {
    const file = place.entryFile ?? place.file ?? ''
    if (!isFile({ name, file })) tests++
    if (parentId) parents.add(`${file}:${parentId}`)
    durations.set(`${file}:${testId}`, { label: `${name} (${shorten(file)})`, ms: details.duration_ms })
  }
  const takePass = ({ name, details, skip, todo, ...place }: EventData.TestPass): void => {
    if (details.type === 'suite' || skip !== undefined || todo !== undefined) return
    passedTests.push({ name, file: shorten(place.entryFile ?? place.file ?? '') })
  }

  return {
    take({ type, data }) {
      if (type === 'test:diagnostic' && data.file === undefined) return !takeTotal(data.message)
      if (type === 'test:dequeue' && isFile(data)) running.add(shorten(data.name))
      if (type === 'test:complete' && isFile(data)) running.delete(shorten(data.name))
      if (type === 'test:pass' || type === 'test:fail') takeResult(data)
      if (type === 'test:pass') takePass(data)
      return true
    },
    passed: () => totals.get('fail') === 0 && totals.get('cancelled') === 0 && tests > 0,
    totals: () => [...totals].map(([name, value]) => diagnostic(`${name} ${Math.round(value)}`)),
    slowest: (count) =>
      [...durations]
        .filter(([key]) => !parents.has(key))
        .map(([, test]) => test)
        .sort((a, b) => b.ms - a.ms)
        .slice(0, count)
        .map(({ label, ms }) => `${(ms / 1000).toFixed(2)} s  ${label}`),
    passedTests: () => passedTests,
    running: () => [...running],
  }
}

export function diagnostic(message: string, level: 'info' | 'error' = 'info'): TestEvent {
  return { type: 'test:diagnostic', data: { nesting: 0, message, level } }
}

/** The runner counts a file in which no test ran as a test by the file's name. */
const isFile = ({ name, file = '' }: { name: string; file?: string | undefined }): boolean =>
  shorten(name) === shorten(file)

const shorten = (file: string): string => file.replace(`${process.cwd()}/`, '')
