import { invalidField } from '../../core/problems.ts'
import { passwordLength } from '../../core/security/passwords.ts'

export const PASSWORD_MAX_LENGTH = 256

/**
 * The rules for a new password (NIST SP 800-63B-4 section 3.1.1.2): long enough, any characters, no composition rules.
 * @param pointer where the password stood in the input
 * @throws Problem `validation_failed`
 */
export function checkNewPassword(
  password: string,
  { passwordMinLength }: { passwordMinLength: number },
  pointer = '/password',
): void {
  if (!password.isWellFormed()) throw invalidField(pointer, 'must be well-formed Unicode')
  const length = passwordLength(password)
  if (length < passwordMinLength || length > PASSWORD_MAX_LENGTH) {
    throw invalidField(
      pointer,
      `must have ${passwordMinLength} to ${PASSWORD_MAX_LENGTH} characters; several words in a row are easy to remember`,
    )
  }
}
