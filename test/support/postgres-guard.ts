import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Usage: postgres-guard.ts FOLDER, its standard input a pipe from the process that owns the server.
 * Each line is the id of the server process to end, 0 for none. The pipe ends with the owner, even one that was
 * killed: then the server is ended and FOLDER removed.
 */
const [folder] = process.argv.slice(2)
if (!folder) throw new Error('Usage: postgres-guard.ts FOLDER')

let pid = 0
for await (const line of createInterface({ input: process.stdin })) pid = Number(line)
if (pid > 0) await end(pid)
await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })

async function end(server: number): Promise<void> {
  for (let i = 0; signal(server, i === 0 ? 'SIGQUIT' : 0); i++) {
    if (i === 100) signal(server, 'SIGKILL')
    if (i > 110) return
    await sleep(50)
  }
}

/** Whether the process was there to be signalled. */
function signal(server: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(server, name)
  } catch {
    return false
  }
}
