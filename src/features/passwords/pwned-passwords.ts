import { hash } from 'node:crypto'
import { createBreaker } from '../../core/breaker.ts'
import { type Clock, SECOND } from '../../core/clock.ts'
import { VERSION } from '../../core/version.ts'

/** For the whole answer: a person waits for it. */
const TIME_OUT_MS = SECOND
/** How long a service that is down is left alone. */
const REST_MS = 30 * SECOND
/** Answers have some 50 KiB. */
const MAX_ANSWER_LENGTH = 512 * 1024
/** Beyond it passwords are not looked up: the service is slower than people come. */
const MAX_UNDER_WAY = 32
const PREFIX_LENGTH = 5
const ROW = /^[0-9A-F]{35}:\d+\r?$/m

/** Passwords known from breaches. */
export type PwnedPasswords = {
  /** Whether the password is known to be among them: false also when that cannot be told, as the service is down. */
  includes(password: string): Promise<boolean>
}

type Options = {
  clock: Clock
  /** Told once of each time that the service is down. */
  warn: (message: string) => void
}

/**
 * Asks a range API such as Have I Been Pwned's, which learns the first 5 of 40 digits of the password's SHA-1 hash and,
 * thanks to padding, whoever watches the line learns nothing from the length of the answer.
 * @param url with a slash at the end; without one nothing is asked
 */
export function createPwnedPasswords(
  url: string | undefined,
  { clock, warn }: Options,
): PwnedPasswords | undefined {
  if (url === undefined) return undefined
  const onBreak = (error: unknown) =>
    warn(`PWNED_PASSWORDS_URL: ${reasonOf(error)}; until it answers, new passwords are not looked up there`)
  const attempt = createBreaker({ clock, restMs: REST_MS, onBreak })
  let underWay = 0
  return {
    async includes(password) {
      if (underWay >= MAX_UNDER_WAY) return false
      underWay += 1
      try {
        return (await attempt(() => lookUp(url, password))) ?? false
      } finally {
        underWay -= 1
      }
    },
  }
}

/** Why a range API does not answer as one; undefined when it does. */
export async function probePwnedPasswords(url: string): Promise<string | undefined> {
  try {
    await lookUp(url, 'password')
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** What is wrong with an answer, in words that hold nothing of the question. */
class UnfitAnswer extends Error {}

async function lookUp(url: string, password: string): Promise<boolean> {
  const digest = hash('sha1', password.normalize('NFC')).toUpperCase()
  const answer = await fetchRange(new URL(digest.slice(0, PREFIX_LENGTH), url))
  if (!ROW.test(answer)) throw new UnfitAnswer('the answer is not one of a range API')
  const count = new RegExp(`^${digest.slice(PREFIX_LENGTH)}:(\\d+)`, 'm').exec(answer)?.[1]
  // Rows of padding have a count of 0.
  return Number(count ?? 0) > 0
}

async function fetchRange(url: URL): Promise<string> {
  const response = await fetch(url, {
    headers: { 'add-padding': 'true', 'user-agent': `Postern/${VERSION}` },
    redirect: 'manual',
    signal: AbortSignal.timeout(TIME_OUT_MS),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new UnfitAnswer(`the answer has status ${response.status}`)
  }
  let answer = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    answer += chunk
    if (answer.length > MAX_ANSWER_LENGTH) throw new UnfitAnswer('the answer is too long')
  }
  return answer
}

/** Other errors could show the address that was asked for, and with it the prefix. */
function reasonOf(error: unknown): string {
  if (error instanceof UnfitAnswer) return error.message
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return `there is no answer within ${TIME_OUT_MS} ms`
  }
  const { cause } = error as Error
  const code = cause instanceof Error && 'code' in cause ? cause.code : (error as Error).name
  return `it cannot be reached (${code})`
}
