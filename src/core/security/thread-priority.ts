import { readdirSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'

/** A tenth of the event loop's share where every core is wanted: hashing goes on, whatever else the machine does. */
const NICE = 10

/**
 * Lets the event loop go before the threads that hash, so that a storm of sign-ins slows sign-ins only.
 * Linux alone knows a priority per thread, and has this folder; where it is missing or hidden, nothing changes.
 * @param tasks a folder for each thread of this process
 */
export function lowerWorkerPriority(tasks = '/proc/self/task'): void {
  try {
    for (const thread of readdirSync(tasks)) {
      const name = readFileSync(`${tasks}/${thread}/comm`, 'utf8').trim()
      if (name === 'libuv-worker') setPriority(Number(thread), NICE)
    }
  } catch {
    // Without the permission everything works as before, only less evenly.
  }
}
