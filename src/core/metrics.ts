import { createInstruments } from './instruments.ts'
import { PROBLEMS, Problem, type ProblemCode } from './problems.ts'

/** How a sign-in or a registration ended: well, or with this problem. */
type Outcome = 'succeeded' | ProblemCode

/** What a refresh gave: the next pair, the same again to a race or retry, or to who had lost it; or a problem. */
type RefreshOutcome = 'rotated' | 'replayed' | 'recovered' | ProblemCode

/** The two that a refresh has for itself go without its name. */
const REFRESH_FAILURES: Partial<Record<RefreshOutcome, string>> = {
  refresh_token_reused: 'reused',
  refresh_token_invalid: 'invalid',
}

/** What mails are about: see `features/email/mails.ts`. */
export const MAIL_KINDS = [
  'confirm_registration',
  'verify_email',
  'already_registered',
  'reset_password',
  'confirm_new_email',
  'email_changed',
  'email_change_undone',
  'email_changed_back',
  'email_restored',
  'sign_in',
  'new_sign_in',
  'password_changed',
  'username_changed',
  'refresh_token_reused',
  'failed_sign_ins',
] as const
const MAIL_OUTCOMES = ['sent', 'retried', 'gave_up'] as const

export type Metrics = ReturnType<typeof createMetrics>

/** How anything can fail. */
const ANY_FAILURE = ['server_busy', 'database_unavailable', 'internal_error'] as const
const PROBLEM_CODES = Object.keys(PROBLEMS) as ProblemCode[]

/**
 * Everything that is counted where it happens; `features/metrics` adds what can be looked up when it is asked for.
 * Each value of a label stands at 0 from the start, or the first of its kind would not show as an increase.
 */
export function createMetrics() {
  const { counter, counterBy, gauge, histogram, read } = createInstruments()
  const requests = counter('postern_http_requests_total', 'Requests, by method, route and status')
  const requestSeconds = histogram(
    'postern_http_request_duration_seconds',
    'From the headers of a request to the end of its reply, by method and route',
  )
  const refreshes = counterBy<string>('postern_refreshes_total', 'Refreshes, by outcome', 'outcome', [
    'rotated',
    'replayed',
    'recovered',
    'reused',
    'invalid',
    ...ANY_FAILURE,
  ])
  const mails = counter('postern_mails_total', 'Tries to send a mail, by its kind and outcome')
  for (const kind of MAIL_KINDS) for (const outcome of MAIL_OUTCOMES) mails({ kind, outcome })
  const statementSeconds = histogram(
    'postern_database_statement_duration_seconds',
    'What a statement took, with its commit where it has one of its own, by operation',
  )
  return {
    read,
    login: counterBy<Outcome>('postern_logins_total', 'Sign-ins, by outcome', 'outcome', [
      'succeeded',
      'invalid_credentials',
      'inactive_user',
      'email_not_verified',
      'email_token_invalid',
      'email_token_used',
      'email_token_elsewhere',
      'too_many_requests',
      'too_many_failures',
      'captcha_required',
      ...ANY_FAILURE,
    ]),
    registration: counterBy<Outcome>('postern_registrations_total', 'Registrations, by outcome', 'outcome', [
      'succeeded',
      'validation_failed',
      'username_taken',
      'email_taken',
      'captcha_required',
      ...ANY_FAILURE,
    ]),
    refresh: (outcome: RefreshOutcome) => refreshes(REFRESH_FAILURES[outcome] ?? outcome),
    /** For one limit: gives what counts a refusal. */
    limited: counter('postern_limited_total', 'Requests that a limit refused, by limit'),
    untrustedForwarded: counter(
      'postern_untrusted_forwarded_total',
      'Requests with forwarding headers while no proxy is trusted',
    )(),
    countedAlone: counter(
      'postern_counted_alone_total',
      'Counts that a process made by itself, because RATE_LIMIT_URL did not answer',
    )(),
    mail: (kind: string, outcome: (typeof MAIL_OUTCOMES)[number]) => mails({ kind, outcome })(),
    problem: counterBy('postern_problems_total', 'Error replies, by code', 'code', PROBLEM_CODES),
    hashSeconds: histogram('postern_hash_duration_seconds', 'What a thread took for a password hash')(),
    revocationStreams: gauge('postern_revocation_streams', 'Streams of revocations that are being followed'),
    /** For one operation: gives what takes down the seconds of each statement. */
    statement: (operation: string) => statementSeconds({ operation }),
    /** For requests to one route: gives what takes down the status of each, and the seconds of those that were not to go on. */
    route(method: string, route: string): (status: number, seconds: number | undefined) => void {
      const byStatus = new Map<number, () => void>()
      let take: ((seconds: number) => void) | undefined
      return (status, seconds) => {
        const count = byStatus.get(status) ?? requests({ method, route, status: String(status) })
        byStatus.set(status, count)
        count()
        if (seconds === undefined) return
        // Only now: a route that nobody asks for would fill the page with zeros.
        take ??= requestSeconds({ method, route })
        take(seconds)
      }
    },
  }
}

/** Counts how the work ends. */
export async function countOutcome<Result, Good extends string>(
  count: (outcome: Good | ProblemCode) => void,
  work: Promise<Result>,
  nameOf: (result: Result) => Good,
): Promise<Result> {
  try {
    const result = await work
    count(nameOf(result))
    return result
  } catch (error) {
    count(error instanceof Problem ? error.code : 'internal_error')
    throw error
  }
}
