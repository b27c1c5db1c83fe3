import { MINUTE } from '../../core/clock.ts'

/** ACCESS_TOKEN_EXPIRE_MINUTES at most, and two for clocks that differ: then no token is left that it could be about. */
export const REVOCATION_TTL_MS = 62 * MINUTE

/** A session that was not refreshed for that long has no token left: REFRESH_REUSE_WINDOW_SECONDS gives one more, at most. */
export const LONGEST_USE_MS = REVOCATION_TTL_MS + 5 * MINUTE
