import type { Context } from '../../context.ts'
import { Problem } from '../../core/problems.ts'

/**
 * Counts a mail to an address, before it is queued.
 * @throws Problem `too_many_requests`
 */
export type AdmitMail = (email: string) => Promise<void>

/** Whether mails leave at all. */
export const canMail = ({ settings }: Pick<Context, 'settings'>): boolean =>
  settings.email.transport.kind !== 'none'

/** @throws Problem `email_unavailable` */
export function requireMail(context: Pick<Context, 'settings'>): void {
  if (!canMail(context)) throw new Problem('email_unavailable')
}
