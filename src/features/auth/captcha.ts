import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { Problem } from '../../core/problems.ts'
import type { Settings } from '../../core/settings.ts'

/** Somebody waits for it. */
const TIME_OUT_MS = 3000

/**
 * Lets nobody through but who has solved a captcha, where one is set up (siteverify: hCaptcha, reCAPTCHA, Turnstile).
 * While its service is down everybody passes: the limits stand without it.
 * @throws Problem `captcha_required`
 */
export async function requireCaptcha(
  { settings: { captcha } }: Pick<Context, 'settings'>,
  token: string | undefined,
  { ip }: Caller,
): Promise<void> {
  if (!captcha) return
  if (token === undefined) throw new Problem('captcha_required')
  const { verifyUrl, secret } = captcha
  const answer = await ask(verifyUrl, new URLSearchParams({ secret, response: token, remoteip: ip }))
  if (answer === 'unsolved' || answer === 'secret refused') throw new Problem('captcha_required')
}

/** How the service answers to a token that it cannot have given: `unsolved` when all is well. */
export const probeCaptcha = ({ verifyUrl, secret }: NonNullable<Settings['captcha']>): Promise<Answer> =>
  ask(verifyUrl, new URLSearchParams({ secret, response: 'probe' }))

type Answer = 'solved' | 'unsolved' | 'secret refused' | 'no answer'

async function ask(url: string, body: URLSearchParams): Promise<Answer> {
  try {
    const signal = AbortSignal.timeout(TIME_OUT_MS)
    const reply = await fetch(url, { method: 'POST', body, signal, redirect: 'error' })
    if (!reply.ok) {
      await reply.body?.cancel()
      return 'no answer'
    }
    const answer = (await reply.json()) as { success?: unknown; 'error-codes'?: unknown }
    if (answer.success === true) return 'solved'
    if (answer.success !== false) return 'no answer'
    return isAboutSecret(answer['error-codes']) ? 'secret refused' : 'unsolved'
  } catch {
    return 'no answer'
  }
}

const isAboutSecret = (codes: unknown): boolean =>
  Array.isArray(codes) && codes.some((code) => /^(missing|invalid)-input-secret$/.test(code))
