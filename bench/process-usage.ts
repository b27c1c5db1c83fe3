import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100
const KIB_PER_MIB = 1024
/** Counted from after the name, which may hold spaces: proc(5), fields 4, 14 and 15. */
const PARENT = 1
const USER = 11
const SYSTEM = 12

/** Whether this system tells what a process uses. */
export const canReadUsage = existsSync('/proc/self/stat')

/** Processor time of a process and of all that descend from it. */
export type ProcessorTime = { userSeconds: number; systemSeconds: number }

export function readProcessorTime(pid: number): ProcessorTime {
  const stats = readStats()
  const family = new Set([pid])
  // Children have greater numbers than their parents, but for a wrap around that a benchmark can live with.
  for (const [child, fields] of stats) if (family.has(Number(fields[PARENT]))) family.add(child)
  const sum = (field: number) =>
    [...family].reduce((total, member) => total + Number(stats.get(member)?.[field] ?? 0), 0) /
    TICKS_PER_SECOND
  return { userSeconds: sum(USER), systemSeconds: sum(SYSTEM) }
}

function readStats(): Map<number, string[]> {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  const found = pids
    .sort((a, b) => a - b)
    .flatMap((pid): [number, string[]][] => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
        return [[pid, stat.slice(stat.lastIndexOf(')') + 2).split(' ')]]
      } catch {
        return [] // It has ended.
      }
    })
  return new Map(found)
}

/** Memory in use now, and at most since `forgetPeak`, in MiB. */
export function readMemory(pid: number): { mib: number; peakMib: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const read = (name: string) => Number(new RegExp(`${name}:\\s*(\\d+)`).exec(status)?.[1]) / KIB_PER_MIB
  return { mib: read('VmRSS'), peakMib: read('VmHWM') }
}

/** proc(5), clear_refs: 5 resets the peak. */
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5')
