import { readFileSync } from 'node:fs'
import { foldForms } from '../../core/fold-case.ts'
import { isInFilter } from './bloom-filter.ts'

/** Made by `npm run password-filter`. Read at start, so that a broken installation does not pass unnoticed. */
const filter = readFileSync(new URL('common-passwords.bloom', import.meta.url))

/**
 * Whether the password is among those that are tried first, in whatever case: who guesses tries a word in all of them.
 * Wrong for one other password in a million.
 */
export const isCommonPassword = (password: string): boolean => isInFilter(filter, foldForms(password))
