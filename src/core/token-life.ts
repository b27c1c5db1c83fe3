import { MINUTE } from './clock.ts'

/** What ACCESS_TOKEN_EXPIRE_MINUTES may be at most. */
export const MAX_ACCESS_TOKEN_MINUTES = 60

/** After that no access token is left, whatever the settings were when it was signed; two minutes are for clocks that differ. */
export const LONGEST_TOKEN_LIFE_MS = (MAX_ACCESS_TOKEN_MINUTES + 2) * MINUTE
