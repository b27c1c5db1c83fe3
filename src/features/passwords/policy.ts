import type { OperatorContext } from '../../context.ts'
import { invalidField } from '../../core/problems.ts'
import { passwordLength } from '../../core/security/passwords.ts'
import { isCommonPassword } from './common-passwords.ts'
import { isMadeOfContextWords } from './context-words.ts'
import type { PasswordRefusal } from './refusals.ts'

export const PASSWORD_MAX_LENGTH = 256

const ADVICE = 'several words that have nothing to do with each other are hard to guess and easy to remember'

/** A password, and what guessers know of whom it is for, as it will be. */
export type NewPassword = { password: string; username: string; email: string }

/**
 * The rules for a new password (NIST SP 800-63B-4 section 3.1.1.2): long enough, any characters, no composition rules,
 * and none that is tried first: common, made of what is known beforehand, or found in a breach. Slow where a service is
 * asked for breaches.
 * @param pointer where the password stood in the input
 * @throws Problem `validation_failed`
 */
export async function checkNewPassword(
  { settings, pwnedPasswords }: Pick<OperatorContext, 'settings' | 'pwnedPasswords'>,
  { password, username, email }: NewPassword,
  pointer = '/password',
): Promise<void> {
  const refused = (refusal: PasswordRefusal, detail: string) => invalidField(pointer, detail, { refusal })
  const { passwordMinLength, projectName, passwordContextWords } = settings
  if (!password.isWellFormed()) throw refused('characters', 'must be well-formed Unicode')
  const length = passwordLength(password)
  if (length < passwordMinLength || length > PASSWORD_MAX_LENGTH) {
    throw refused('length', `must have ${passwordMinLength} to ${PASSWORD_MAX_LENGTH} characters; ${ADVICE}`)
  }
  if (isCommonPassword(password)) {
    throw refused('common', `is among the passwords that attackers try first; choose another: ${ADVICE}`)
  }
  const localPart = email.slice(0, email.lastIndexOf('@'))
  if (isMadeOfContextWords(password, [projectName, ...passwordContextWords, username, localPart])) {
    throw refused(
      'context',
      `is made of your username, your e-mail address or the name of this service, and little else; choose another: ${ADVICE}`,
    )
  }
  if (await pwnedPasswords?.includes(password)) {
    throw refused(
      'breached',
      `appears in known data breaches, so attackers have it on their lists; choose another, and change it wherever you use it: ${ADVICE}`,
    )
  }
}
