import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { Problem } from '../../core/problems.ts'

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
  if (answer === 'unsolved') throw new Problem('captcha_required')
}

async function ask(url: string, body: URLSearchParams): Promise<'solved' | 'unsolved' | 'no answer'> {
  try {
    const signal = AbortSignal.timeout(TIME_OUT_MS)
    const reply = await fetch(url, { method: 'POST', body, signal, redirect: 'error' })
    if (!reply.ok) {
      await reply.body?.cancel()
      return 'no answer'
    }
    const { success } = (await reply.json()) as { success?: unknown }
    if (success === true) return 'solved'
    return success === false ? 'unsolved' : 'no answer'
  } catch {
    return 'no answer'
  }
}
