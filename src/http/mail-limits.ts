import type { AdmitPassword } from '../features/passwords/try-password.ts'
import { emailKey } from '../features/users/names.ts'
import { addressOf, type Limited, type Limits } from './limits.ts'

/**
 * Counts a mail that somebody asks for: for an account each kind by itself, for an address all together.
 * @throws Problem `too_many_requests`
 */
export async function admitMail(
  limits: Limits,
  limited: Limited,
  kind: 'register' | 'verify' | 'reset' | 'sign-in' | 'change',
  email: string,
): Promise<void> {
  const address = addressOf(limited.caller)
  // Registrations have limits of their own for who asks, and for the server.
  const hasOwnLimits = kind === 'register'
  // First: nobody opens a counter for each of any number of accounts.
  if (!hasOwnLimits) await limits.take(limited, 'mail-address', [address])
  try {
    await limits.take(limited, 'mail-address-account', [kind, address, emailKey(email)])
  } catch (error) {
    // One after the other: who asks again and again for one account uses up no mails of others at the address.
    if (!hasOwnLimits) await limits.count(limited, 'mail-address', [address], -1)
    throw error
  }
  await limits.take(limited, 'mail-account', [kind, emailKey(email)])
  if (!hasOwnLimits) await limits.take(limited, 'mail-server', [])
}

/**
 * Counts what somebody brings from a mail: of codes, whose there are few, also by whom they are for. Those that sign in count
 * by themselves: who asks for one may try at it, and uses up no other.
 * @throws Problem `too_many_requests`
 */
export async function admitProof(
  limits: Limits,
  limited: Limited,
  kind: 'sign-in' | 'account',
  { token, email }: { token?: string | undefined; email?: string | undefined },
): Promise<void> {
  await limits.take(limited, 'code-address', [addressOf(limited.caller)])
  if (email !== undefined && token === undefined) {
    await limits.take(limited, 'code-address-account', [kind, addressOf(limited.caller), emailKey(email)])
    await limits.take(limited, 'code-account', [kind, emailKey(email)])
    await limits.take(limited, 'code-account-day', [kind, emailKey(email)])
  }
  await limits.take(limited, 'code-server', [])
}

/** Counts the password that comes with a proof, like one of who is signed in: many at once are as many. */
export const admitPasswordOf =
  (limits: Limits, limited: Limited): AdmitPassword =>
  (owner) =>
    limits.take(limited, 'reauthentication-account', [owner])
