import { probeCaptcha } from '../../features/auth/captcha.ts'
import { probePwnedPasswords } from '../../features/passwords/pwned-passwords.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type ServicesFacts = Readonly<{
  /** Why the range API does not answer; undefined also where none is asked. */
  pwnedPasswords: string | undefined
  captcha: Awaited<ReturnType<typeof probeCaptcha>> | undefined
}>

async function gather(scene: Scene): Promise<ServicesFacts | undefined> {
  const { pwnedPasswordsUrl, captcha } = scene.settings()
  if (pwnedPasswordsUrl === undefined && !captcha) return undefined
  const [pwned, answer] = await Promise.all([
    pwnedPasswordsUrl === undefined ? undefined : probePwnedPasswords(pwnedPasswordsUrl),
    captcha && probeCaptcha(captcha),
  ])
  return { pwnedPasswords: pwned, captcha: answer }
}

export const services = defineGroup('services', gather, [
  {
    id: 'services.pwned_passwords',
    level: 'warning',
    why: 'While it does not answer, passwords known from breaches are accepted',
    mend: 'See that PWNED_PASSWORDS_URL is the address of a range API, and that this machine may connect to it',
    find: ({ pwnedPasswords }) => pwnedPasswords !== undefined && `PWNED_PASSWORDS_URL: ${pwnedPasswords}`,
  },
  {
    id: 'services.captcha',
    level: 'warning',
    why: 'While it does not answer, everybody passes without a captcha',
    mend: 'See that CAPTCHA_VERIFY_URL is the address of a siteverify service, and that this machine may connect to it',
    find: ({ captcha }) =>
      captcha === 'no answer' && 'CAPTCHA_VERIFY_URL: there is no answer, or none as it should be',
  },
  {
    id: 'services.captcha_secret',
    level: 'error',
    why: 'No captcha is confirmed, so that nobody can register',
    mend: 'Set CAPTCHA_SECRET to the secret that the service gives for this site',
    find: ({ captcha }) => captcha === 'secret refused' && 'CAPTCHA_SECRET: the service does not take it',
  },
  {
    id: 'services.captcha_strict',
    level: 'error',
    why: 'It is a secret for tests: bots pass as well',
    mend: 'Set CAPTCHA_SECRET to the secret that the service gives for this site',
    find: ({ captcha }) =>
      captcha === 'solved' && 'CAPTCHA_SECRET: the service confirms a token that it never gave',
  },
])
