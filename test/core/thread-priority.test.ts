import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { lowerWorkerPriority } from '../../src/core/security/thread-priority.ts'

/** Prints the name and nice value of every thread of a process that has hashed, and lowered its workers or not. */
const PROGRAM = `
import { pbkdf2 } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
const { lowerWorkerPriority } = await import(process.env.MODULE)
await promisify(pbkdf2)('x', 'y', 1000, 32, 'sha256')
if (process.env.LOWER) lowerWorkerPriority()
const threads = readdirSync('/proc/self/task').map((id) => {
  const stat = readFileSync('/proc/self/task/' + id + '/stat', 'utf8')
  const [, name, rest] = /\\((.*)\\) (.*)/.exec(stat)
  return { id, name, nice: Number(rest.split(' ')[16]) }
})
console.log(JSON.stringify({ main: String(process.pid), threads }))
`

type Thread = { id: string; name: string; nice: number }

function listThreads(lower: boolean): { main: Thread | undefined; workers: Thread[] } {
  const url = new URL('../../src/core/security/thread-priority.ts', import.meta.url)
  const env = { ...process.env, MODULE: url.href, LOWER: lower ? '1' : '' }
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    encoding: 'utf8',
    env,
    timeout: 20_000,
  })
  assert.ok(stdout, stderr)
  const { main, threads }: { main: string; threads: Thread[] } = JSON.parse(stdout)
  return {
    main: threads.find(({ id }) => id === main),
    workers: threads.filter(({ name }) => name === 'libuv-worker'),
  }
}

const skip = process.platform !== 'linux' && 'only Linux has a priority for each thread'

describe('thread priority', () => {
  it('the threads that hash go after the event loop, which keeps its own', { skip }, () => {
    const before = listThreads(false)
    const after = listThreads(true)
    assert.ok(after.workers.length > 0)
    for (const { nice } of after.workers) assert.ok(nice > (before.workers[0]?.nice ?? 0), `${nice}`)
    assert.equal(after.main?.nice, before.main?.nice)
    assert.doesNotThrow(() => lowerWorkerPriority())
  })

  it('where it cannot be had, nothing fails', () => {
    assert.doesNotThrow(() => lowerWorkerPriority('/nowhere/task'))
  })
})
