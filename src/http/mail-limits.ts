import type { Context } from '../context.ts'
import { canMail } from '../features/email/require-mail.ts'
import { emailKey } from '../features/users/names.ts'
import { addressOf, type Limited, type Limits } from './limits.ts'

/**
 * Counts a mail that somebody asks for: for an account each kind by itself, for an address all together.
 * @throws Problem `too_many_requests`
 */
export async function admitMail(
  limits: Limits,
  limited: Limited,
  kind: string,
  email: string,
): Promise<void> {
  const address = addressOf(limited.caller)
  await limits.take(limited, 'mail-address', [address])
  await limits.take(limited, 'mail-address-account', [kind, address, emailKey(email)])
  await limits.take(limited, 'mail-account', [kind, emailKey(email)])
  await limits.take(limited, 'mail-server', [])
}

/**
 * Counts a mail that comes of something else that somebody asks for, where mails are sent: for whom it is, not who asks.
 * @throws Problem `too_many_requests`
 */
export async function admitMailTo(
  context: Pick<Context, 'settings'>,
  limits: Limits,
  limited: Limited,
  kind: string,
  email: string,
): Promise<void> {
  if (canMail(context)) await limits.take(limited, 'mail-account', [kind, emailKey(email)])
}

/**
 * Counts what somebody brings from a mail: of codes, whose there are few, also by whom they are for.
 * @throws Problem `too_many_requests`
 */
export async function admitProof(
  limits: Limits,
  limited: Limited,
  { email }: { email?: string | undefined },
): Promise<void> {
  await limits.take(limited, 'code-address', [addressOf(limited.caller)])
  if (email !== undefined) {
    await limits.take(limited, 'code-account', [emailKey(email)])
    await limits.take(limited, 'code-account-day', [emailKey(email)])
  }
  await limits.take(limited, 'code-server', [])
}
