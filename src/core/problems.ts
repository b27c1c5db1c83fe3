type ProblemDefinition = { status: number; title: string; detail: string }

/**
 * Every error that a client can see (RFC 9457). Codes are stable: clients branch on them.
 * `detail` is the public text; where the FastAPI original had one for the case, it is the same.
 */
export const PROBLEMS = {
  malformed_request: { status: 400, title: 'Malformed request', detail: 'The request could not be read' },
  validation_failed: { status: 422, title: 'Invalid input', detail: 'Some fields are not valid; see errors' },
  username_taken: { status: 400, title: 'Username taken', detail: 'Username already registered' },
  email_taken: { status: 400, title: 'E-mail address taken', detail: 'Email already registered' },
  inactive_user: { status: 400, title: 'Inactive user', detail: 'Inactive user' },
  current_password_incorrect: {
    status: 400,
    title: 'Current password incorrect',
    detail: 'Current password is incorrect',
  },
  email_token_invalid: {
    status: 400,
    title: 'Link or code invalid',
    detail: 'This link or code is not valid: it may have expired, or a newer one was sent; ask for another',
  },
  email_token_used: {
    status: 400,
    title: 'Link or code used',
    detail: 'This link or code has been used already',
  },
  email_token_elsewhere: {
    status: 400,
    title: 'Asked for elsewhere',
    detail: 'This link works where it was asked for: open it there, or type the code there',
  },
  registration_password_incorrect: {
    status: 400,
    title: 'Password of the registration incorrect',
    detail: 'This is not the password that was registered with',
  },
  email_not_verified: {
    status: 403,
    title: 'E-mail address not verified',
    detail: 'Verify your e-mail address first: a link and a code were sent to it',
  },
  email_unavailable: {
    status: 503,
    title: 'No mail can be sent',
    detail: 'This server is not set up to send mail; ask an administrator',
  },
  invalid_credentials: {
    status: 401,
    title: 'Sign-in failed',
    detail: 'Incorrect username or password',
  },
  refresh_token_invalid: {
    status: 401,
    title: 'Invalid refresh token',
    detail: 'Invalid refresh token',
  },
  refresh_token_reused: {
    status: 401,
    title: 'Refresh token reused',
    detail: 'Invalid refresh token',
  },
  not_authenticated: {
    status: 401,
    title: 'Not authenticated',
    detail: 'Could not validate credentials',
  },
  access_token_invalid: {
    status: 401,
    title: 'Invalid access token',
    detail: 'Could not validate credentials',
  },
  token_sent_twice: {
    status: 400,
    title: 'Token sent twice',
    detail: 'Send the access token in the Authorization header, and nowhere else',
  },
  reauthentication_required: {
    status: 401,
    title: 'Recent sign-in required',
    detail: 'Send current_password, or sign in again and repeat within 5 minutes',
  },
  captcha_required: {
    status: 403,
    title: 'Captcha required',
    detail: 'Solve the captcha, and send its token as captcha_token',
  },
  not_enough_permissions: { status: 403, title: 'Forbidden', detail: 'Not enough permissions' },
  insufficient_scope: {
    status: 403,
    title: 'Scope missing',
    detail: 'This key or token lacks the scope that is needed here',
  },
  origin_not_allowed: {
    status: 403,
    title: 'Origin not allowed',
    detail: 'Cookies are only honoured for requests from this origin or one named in CORS_ORIGINS',
  },
  not_found: { status: 404, title: 'Not found', detail: 'There is nothing at this address' },
  session_not_found: { status: 404, title: 'Session not found', detail: 'You have no such session' },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    detail: 'This address does not answer that method; see the Allow header',
  },
  request_timeout: { status: 408, title: 'Request timed out', detail: 'The request took too long to arrive' },
  body_too_large: { status: 413, title: 'Body too large', detail: 'The body may have at most 64 KiB' },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    detail: 'Send application/json, or application/x-www-form-urlencoded where the route takes forms',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests',
    detail: 'Too many requests; try again when Retry-After says',
  },
  too_many_failures: {
    status: 429,
    title: 'Too many failures',
    detail:
      'Too many failures in a row; try again when Retry-After says, and without it from a device that signed in before, or ask an administrator to unlock the account',
  },
  headers_too_large: { status: 431, title: 'Headers too large', detail: 'The headers are too large' },
  internal_error: {
    status: 500,
    title: 'Internal error',
    detail: 'Something went wrong here; quote request_id when you report it',
  },
  server_busy: {
    status: 503,
    title: 'Server busy',
    detail: 'The server is busy; try again shortly',
  },
  database_unavailable: {
    status: 503,
    title: 'Database unavailable',
    detail: 'The database does not answer; try again shortly',
  },
  not_ready: { status: 503, title: 'Not ready', detail: 'This node is not ready to serve' },
} as const satisfies Record<string, ProblemDefinition>

export type ProblemCode = keyof typeof PROBLEMS

/** One invalid field: a JSON Pointer (RFC 6901) into the input, and what would be right. */
export type FieldError = { pointer: string; detail: string }

type ProblemOptions = {
  /** What led here: logged, never sent. */
  cause?: unknown
  /** Facts for the log, never sent. */
  context?: Record<string, unknown>
  /** The invalid fields, sent with `validation_failed`. */
  errors?: FieldError[]
  /** When trying again makes sense, sent as `Retry-After`. */
  retryAfterSeconds?: number
  /** What a token would need, sent with `insufficient_scope`. */
  scope?: string
}

/** An expected failure, told to the client by its code. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly context: Record<string, unknown> | undefined
  readonly errors: FieldError[] | undefined
  readonly retryAfterSeconds: number | undefined
  readonly scope: string | undefined

  constructor(code: ProblemCode, { cause, context, errors, retryAfterSeconds, scope }: ProblemOptions = {}) {
    super(PROBLEMS[code].detail, { cause })
    this.name = 'Problem'
    this.code = code
    this.context = context
    this.errors = errors
    this.retryAfterSeconds = retryAfterSeconds
    this.scope = scope
  }
}

/** A `validation_failed` that names one field. */
export const invalidField = (pointer: string, detail: string, context?: Record<string, unknown>): Problem =>
  new Problem('validation_failed', { errors: [{ pointer, detail }], ...(context && { context }) })

/** When a change keeps losing races: trying again soon is all that is needed. */
export const serverBusy = (context?: Record<string, unknown>): Problem =>
  new Problem('server_busy', { retryAfterSeconds: 1, ...(context && { context }) })

/** A failure that stops a command or the start of the server: told in one line, exit code 1. */
export class StartupError extends Error {
  override name = 'StartupError'
}
