import { Problem } from '../../core/problems.ts'
import type { Settings } from '../../core/settings.ts'

type Mailing = { settings: Pick<Settings, 'email'> }

/**
 * Counts a mail to an address, before it is queued.
 * @throws Problem `too_many_requests`
 */
export type AdmitMail = (email: string) => Promise<void>

/** Whether mails leave at all. */
export const canMail = ({ settings }: Mailing): boolean => settings.email.transport.kind !== 'none'

/** @throws Problem `email_unavailable` */
export function requireMail(context: Mailing): void {
  if (!canMail(context)) throw new Problem('email_unavailable')
}
