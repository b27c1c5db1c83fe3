import { readFileSync } from 'node:fs'
import type { Timestamp } from '../../core/clock.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type MachineFacts = Readonly<{
  now: Timestamp
  nodeVersion: string
  isRoot: boolean
  /** Undefined where it cannot be told. */
  openFiles: number | undefined
}>

/** By major version, when the last release with mended holes is due (github.com/nodejs/release). */
const NODE_ENDS: Readonly<Record<string, string>> = { 24: '2028-04-30', 25: '2026-06-01', 26: '2029-04-30' }
const LEAST_OPEN_FILES = 4096

const gather = ({ clock }: Scene): MachineFacts => ({
  now: clock.now(),
  nodeVersion: process.versions.node,
  isRoot: process.getuid?.() === 0,
  openFiles: readOpenFiles(),
})

function readOpenFiles(): number | undefined {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? undefined : Number(soft)
  } catch {
    // Only Linux tells.
    return undefined
  }
}

export const machine = defineGroup('machine', gather, [
  {
    id: 'machine.node',
    level: 'warning',
    why: 'Holes that are found in it are mended no more',
    mend: 'Update Node.js; a checkout of Postern brings its own with `npm ci`',
    find({ now, nodeVersion }) {
      const end = NODE_ENDS[nodeVersion.split('.')[0] ?? '']
      return (
        end !== undefined &&
        now > Date.parse(end) &&
        `Node.js ${nodeVersion} has been at its end since ${end}`
      )
    },
  },
  {
    id: 'machine.root',
    level: 'warning',
    why: 'Whoever finds a way into the server has the whole machine, and files that are made belong to root',
    mend: 'Run the server, and this command, as a user of its own',
    find: ({ isRoot }) => isRoot && 'This runs as root',
  },
  {
    id: 'machine.open_files',
    level: 'warning',
    why: 'Each connection is an open file: beyond the limit nobody gets through',
    mend: 'Raise it: `ulimit -n`, LimitNOFILE of systemd, or --ulimit nofile of the container',
    find: ({ openFiles }) =>
      openFiles !== undefined && openFiles < LEAST_OPEN_FILES && `A process may open ${openFiles} files only`,
  },
])
