import { domainToASCII } from 'node:url'
import isEmail from 'validator/lib/isEmail.js'
import { foldCase, foldForms } from '../../core/fold-case.ts'
import { invalidField } from '../../core/problems.ts'

/** Letters (with the marks that some scripts write them with), digits and `._-`; nothing that does not show. */
const USERNAME = /^(?!\p{M})(?!.*\p{Default_Ignorable_Code_Point})(?=.*[\p{L}\p{Nd}])[\p{L}\p{M}\p{Nd}._-]+$/u
export const USERNAME_LENGTH = { min: 3, max: 50 } as const
export const EMAIL_MAX_LENGTH = 254

/** What could break a mail's header or does not show; quoted local parts could hold anything (RFC 5321 section 4.1.2). */
const NEVER_IN_EMAIL = /["\p{Cc}\p{Cf}\p{Cs}\p{Z}]/u

/** The form in which usernames are compared. */
export const usernameKey: (username: string) => string = foldForms

/** The form in which addresses are compared: without regard to case, the domain as the DNS has it. */
export function emailKey(email: string): string {
  const at = email.lastIndexOf('@')
  const domain = email.slice(at + 1)
  return `${foldCase(email.slice(0, at).normalize('NFC'))}@${domainToASCII(domain) || foldCase(domain)}`
}

export const isEmailShaped = (text: string): boolean => text.includes('@')

/** The form in which what somebody signs in with is compared: no username has the shape of an address. */
export const identifierKey = (identifier: string): string =>
  isEmailShaped(identifier) ? emailKey(identifier) : usernameKey(identifier)

/**
 * The username as it is kept: NFKC.
 * @throws Problem `validation_failed`
 */
export function checkUsername(username: string): string {
  const normal = username.normalize('NFKC')
  const length = [...normal].length
  const { min, max } = USERNAME_LENGTH
  if (isEmailShaped(normal)) {
    throw invalidField('/username', 'must not be an e-mail address: the address has its own field')
  }
  if (length < min || length > max) throw invalidField('/username', `must have ${min} to ${max} characters`)
  if (!USERNAME.test(normal)) {
    throw invalidField(
      '/username',
      'may have letters, digits and . _ - only, and at least one letter or digit',
    )
  }
  return normal
}

/**
 * The address as it is kept: as typed.
 * @throws Problem `validation_failed`
 */
export function checkEmail(email: string): string {
  if (email.length > EMAIL_MAX_LENGTH || NEVER_IN_EMAIL.test(email) || !isEmail.default(email)) {
    throw invalidField('/email', `must be an e-mail address of at most ${EMAIL_MAX_LENGTH} characters`)
  }
  return email
}
