const PROBLEMS = {
  token_missing: { status: 401, message: 'No access token was sent' },
  token_invalid: { status: 401, message: 'The access token is not valid' },
  token_expired: { status: 401, message: 'The access token has expired' },
  token_revoked: { status: 401, message: 'The session of the access token has ended' },
  insufficient_scope: { status: 403, message: 'The access token lacks a scope that is needed here' },
  unavailable: { status: 503, message: 'Whether the access token is good cannot be told at the moment' },
} as const

export type TokenErrorCode = keyof typeof PROBLEMS

/** Why a token is not accepted. Branch on `code`, which is stable; the message may be shown to the client. */
export class TokenError extends Error {
  override readonly name = 'TokenError'
  readonly code: TokenErrorCode
  /** The HTTP status that says so. */
  readonly status: 401 | 403 | 503

  constructor(code: TokenErrorCode) {
    super(PROBLEMS[code].message)
    this.code = code
    this.status = PROBLEMS[code].status
  }
}
