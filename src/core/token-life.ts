import { MINUTE, SECOND } from './clock.ts'

/** What ACCESS_TOKEN_EXPIRE_MINUTES may be at most. */
export const MAX_ACCESS_TOKEN_MINUTES = 60

/** What REFRESH_REUSE_WINDOW_SECONDS may be at most. */
export const MAX_REUSE_WINDOW_SECONDS = 300

/** After that no access token is left, whatever the settings were when it was signed; two minutes are for clocks that differ. */
export const LONGEST_TOKEN_LIFE_MS = (MAX_ACCESS_TOKEN_MINUTES + 2) * MINUTE

/** A session that has not moved on for that long has no token left: a refresh that is repeated gives one without moving it. */
export const LONGEST_TOKEN_AFTER_USE_MS = LONGEST_TOKEN_LIFE_MS + MAX_REUSE_WINDOW_SECONDS * SECOND
