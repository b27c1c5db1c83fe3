import { readdirSync, readFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'

/**
 * Lets the event loop go before the threads that hash, so that a storm of sign-ins slows sign-ins only.
 * Linux alone knows a priority per thread, and has this folder; where it is missing or hidden, nothing changes.
 * @param tasks a folder for each thread of this process
 */
export function lowerWorkerPriority(tasks = '/proc/self/task'): void {
  try {
    for (const thread of readdirSync(tasks)) {
      const name = readFileSync(`${tasks}/${thread}/comm`, 'utf8').trim()
      if (name === 'libuv-worker') setPriority(Number(thread), constants.priority.PRIORITY_LOW)
    }
  } catch {
    // Without the permission everything works as before, only less evenly.
  }
}
