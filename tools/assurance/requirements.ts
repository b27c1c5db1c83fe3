import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')
const FILE = 'docs/assurance/requirements.tsv'

/** `later`: the group is judged with the capability that it is about. */
export const STATUSES = ['met', 'not applicable', 'open', 'later'] as const
export type Status = (typeof STATUSES)[number]

/** One row of docs/assurance/requirements.tsv, as it is written there. */
export type Requirement = {
  id: string
  level: string
  requirement: string
  status: string
  /** Markdown. */
  why: string
  /** How a test from outside shows it. */
  check: string
  source: string
}

const COLUMNS = ['id', 'level', 'requirement', 'status', 'why', 'check', 'source']

/** @throws Error at a row that has not as many cells as there are columns */
export function readRequirements(text = readFileSync(resolve(ROOT, FILE), 'utf8')): Requirement[] {
  const [head = '', ...lines] = text.trimEnd().split('\n')
  if (head !== COLUMNS.join('\t')) throw new Error(`${FILE} has other columns than ${COLUMNS.join(', ')}`)
  return lines.map((line) => {
    const cells = line.split('\t')
    const [id = '', level = '', requirement = '', status = '', why = '', check = '', source = ''] = cells
    if (cells.length !== COLUMNS.length) throw new Error(`${FILE}: ${id} has ${cells.length} cells`)
    return { id, level, requirement, status, why, check, source }
  })
}

/** "V6" of "V6.2.4", "ATK" of "ATK-none". */
export const groupOf = (id: string): string => id.split(/[.-]/, 1)[0] ?? ''
