import type { Context } from '../../context.ts'
import { DAY, HOUR } from '../../core/clock.ts'
import { emailKey } from '../users/names.ts'
import type { ClaimedMail } from './outbox-queries.ts'

/** Of one kind, to one address, within an hour. */
const MOST_TO_ADDRESS = 10
/** About one account, within a day. */
const MOST_TO_ACCOUNT = 100

/** Whether an address or an account is sent too much, whoever causes it. A mail that is tried again counts once. */
export async function isBeyondLimit(
  { settings, counters, pseudonym }: Pick<Context, 'settings' | 'counters' | 'pseudonym'>,
  { kind, recipient, user_id, attempts }: ClaimedMail,
): Promise<boolean> {
  if (!settings.rateLimits || attempts > 1) return false
  const toAddress = pseudonym('mails to address', kind, emailKey(recipient ?? ''))
  if ((await counters.shared.add(toAddress, HOUR)).count > MOST_TO_ADDRESS) return true
  if (user_id === null) return false
  return (await counters.shared.add(pseudonym('mails to account', user_id), DAY)).count > MOST_TO_ACCOUNT
}
