import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Stryker } from '@stryker-mutator/core'

const ROOT = resolve(import.meta.dirname, '../..')
const EXPLANATIONS = 'docs/assurance/survivors.tsv'
const LEAST_PERCENT = 85

export type Mutant = Awaited<ReturnType<Stryker['runMutationTest']>>[number]

const NOTICED = ['Killed', 'Timeout']
const UNNOTICED = ['Survived', 'NoCoverage']

/** How many of the changes were noticed, by file and altogether, and whether that is enough. */
export function summary(mutants: readonly Mutant[]): { text: string; isEnough: boolean } {
  const files = Map.groupBy(mutants, ({ fileName }) => relative(fileName))
  const lines = [...files].map(([file, own]) => `${score(own).text}  ${file}`)
  const all = score(mutants)
  return { text: [...lines.sort(), `${all.text}  all`].join('\n'), isEnough: all.percent >= LEAST_PERCENT }
}

function score(mutants: readonly Mutant[]): { percent: number; text: string } {
  const count = (kinds: string[]) => mutants.filter(({ status }) => kinds.includes(status)).length
  const noticed = count(NOTICED)
  const total = noticed + count(UNNOTICED)
  const percent = total === 0 ? 100 : (noticed / total) * 100
  return { percent, text: `${percent.toFixed(1).padStart(5)} %  ${noticed} of ${total}` }
}

/** The changes that no test noticed and of which docs/assurance/survivors.tsv says nothing: a line for it each, but for the reason. */
export function unexplained(mutants: readonly Mutant[]): string[] {
  const explained = new Set(readExplanations())
  return mutants
    .filter(({ status }) => UNNOTICED.includes(status))
    .map(describe)
    .filter((line) => !explained.has(line))
}

const readExplanations = () =>
  readFileSync(resolve(ROOT, EXPLANATIONS), 'utf8')
    .split('\n')
    .map((line) => line.split('\t').slice(0, 3).join('\t'))

/** By the text of its line, not the number, so that it stays the same when lines are added above. */
function describe({ fileName, location, replacement }: Mutant): string {
  const lines = readFileSync(fileName, 'utf8').split('\n')
  const line = lines[location.start.line - 1]?.trim() ?? ''
  return [relative(fileName), line, oneLine(replacement ?? '')].join('\t')
}

const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ')
const relative = (file: string) => file.replace(`${ROOT}/`, '')
