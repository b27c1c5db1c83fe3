import { invalidField } from '../../core/problems.ts'
import type { EmailProof } from './tokens.ts'

/**
 * What somebody brings from a mail, as the API has it.
 * @throws Problem `validation_failed`
 */
export function toEmailProof({
  token,
  email,
  code,
}: {
  token?: string
  email?: string
  code?: string
}): EmailProof {
  if (token !== undefined) return { token }
  if (code === undefined) throw invalidField('/token', 'is missing; send it, or email and code')
  if (email === undefined) throw invalidField('/email', 'is missing: where was the code sent?')
  return { email, code: code.replaceAll(/[\s-]/g, '') }
}
