import type { Context } from '../../context.ts'
import { createBreaker } from '../../core/breaker.ts'
import type { Caller } from '../../core/caller.ts'
import { type Clock, SECOND } from '../../core/clock.ts'
import { Problem } from '../../core/problems.ts'
import type { Settings } from '../../core/settings.ts'

/** Somebody waits for it. */
const TIME_OUT_MS = 3 * SECOND
/** How long a service that is down is left alone. */
const REST_MS = 30 * SECOND
/** Answers have some hundred characters. */
const MAX_ANSWER_LENGTH = 64 * 1024

/** Whether a token is that of a solved captcha; undefined while the service cannot tell. */
export type Captcha = (token: string, ip: string) => Promise<boolean | undefined>

type CaptchaSettings = NonNullable<Settings['captcha']>
type Answer = 'solved' | 'unsolved' | 'secret refused'

/** Asks a service that speaks siteverify (hCaptcha, reCAPTCHA, Turnstile); without settings there is none. */
export function createCaptcha(
  settings: Settings['captcha'],
  { clock, warn }: { clock: Clock; warn: (message: string) => void },
): Captcha | undefined {
  if (!settings) return undefined
  const { verifyUrl, secret } = settings
  const onBreak = () =>
    warn('CAPTCHA_VERIFY_URL: there is no answer, or none as it should be; until there is, everybody passes')
  const attempt = createBreaker({ clock, restMs: REST_MS, onBreak })
  return async (token, ip) => {
    const answer = await attempt(() => ask(verifyUrl, { secret, response: token, remoteip: ip }))
    return answer && answer === 'solved'
  }
}

/**
 * Lets nobody through but who has solved a captcha, where one is set up. While its service is down everybody passes: the
 * limits stand without it.
 * @throws Problem `captcha_required`
 */
export async function requireCaptcha(
  { captcha }: Pick<Context, 'captcha'>,
  token: string | undefined,
  { ip }: Caller,
): Promise<void> {
  if (!captcha) return
  if (token === undefined || (await captcha(token, ip)) === false) throw new Problem('captcha_required')
}

/** How the service answers to a token that it cannot have given: `unsolved` when all is well. */
export const probeCaptcha = ({ verifyUrl, secret }: CaptchaSettings): Promise<Answer | 'no answer'> =>
  ask(verifyUrl, { secret, response: 'probe' }).catch(() => 'no answer' as const)

/** @throws whatever keeps the service from answering as one */
async function ask(url: string, form: Record<string, string>): Promise<Answer> {
  const signal = AbortSignal.timeout(TIME_OUT_MS)
  const body = new URLSearchParams(form)
  const reply = await fetch(url, { method: 'POST', body, signal, redirect: 'error' })
  if (!reply.ok) {
    await reply.body?.cancel()
    throw new Error(`the answer has status ${reply.status}`)
  }
  const { success, 'error-codes': codes } = JSON.parse(await readText(reply))
  if (typeof success !== 'boolean') throw new TypeError('the answer does not tell of success')
  if (success) return 'solved'
  return isAboutSecret(codes) ? 'secret refused' : 'unsolved'
}

async function readText({ body }: Response): Promise<string> {
  let text = ''
  for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    if (text.length > MAX_ANSWER_LENGTH) throw new RangeError('the answer is too long')
  }
  return text
}

const isAboutSecret = (codes: unknown): boolean =>
  Array.isArray(codes) && codes.some((code) => /^(missing|invalid)-input-secret$/.test(code))
