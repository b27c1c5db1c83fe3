import type { Admission, Admit } from '../features/auth/login.ts'
import { addressOf, type Limited, type Limits } from './limits.ts'

/** Failures of an address within the hour that make its sign-ins suspicious. */
const SUSPICIOUS_FAILURES = 10

/**
 * How the limits let a request sign in. A device that is known counts by itself alone: nothing that others do from
 * elsewhere, not even at its own address, keeps it out.
 * @param account the name that is given, as it is compared
 * @param hashThreads how many passwords this process hashes at a time
 */
export const admitBy =
  (limits: Limits, limited: Limited, account: string, hashThreads: number): Admit =>
  async (device) => {
    if (!device) return admitStranger(limits, limited, account, hashThreads)
    await limits.take(limited, 'login-device', [device.sub, device.jti])
    return KNOWN
  }

const KNOWN: Admission = {
  isSuspicious: false,
  countFailure: async () => {},
  giveBack: async () => {},
}

async function admitStranger(
  limits: Limits,
  limited: Limited,
  account: string,
  hashThreads: number,
): Promise<Admission> {
  const address = addressOf(limited.caller)
  await Promise.allSettled([
    limits.take(limited, 'login-address', [address]),
    limits.take(limited, 'login-address-account', [address, account]),
    limits.requireRoom('failed-accounts-address', [address]),
  ]).then(throwFirst)
  const failures = limits.take(limited, 'failed-login-address', [address])
  await Promise.allSettled([failures, limits.take(limited, 'login-account', [account])]).then(throwFirst)
  await limits.take(limited, 'login-server', [], hashThreads)
  return {
    isSuspicious: (await failures) > SUSPICIOUS_FAILURES,
    async countFailure() {
      const isFirst = (await limits.count(limited, 'failed-account-of-address', [address, account])) === 1
      if (isFirst) await limits.count(limited, 'failed-accounts-address', [address])
    },
    async giveBack() {
      await limits.count(limited, 'failed-login-address', [address], -1)
    },
  }
}

/** Whatever comes first, the reply has what the others say. */
function throwFirst(results: PromiseSettledResult<unknown>[]): void {
  const refused = results.find((result) => result.status === 'rejected')
  if (refused) throw refused.reason
}
