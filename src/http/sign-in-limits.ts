import type { DeviceClaims } from '../core/security/tokens.ts'
import type { Admission, Admit } from '../features/auth/login.ts'
import { addressOf, LIMITS, type Limited, type Limits, SHARED_FACTOR } from './limits.ts'

/** Failures of an address within the hour that make its sign-ins suspicious. */
const SUSPICIOUS_FAILURES = 10

/**
 * How the limits let a request sign in. A device that is known does not count with others at its address or elsewhere:
 * nothing that they do keeps it out.
 * @param account the name that is given, as it is compared
 */
export const admitBy =
  (limits: Limits, limited: Limited, account: string): Admit =>
  (device) =>
    device ? admitDevice(limits, limited, device) : admitStranger(limits, limited, account)

async function admitDevice(limits: Limits, limited: Limited, { sub, jti }: DeviceClaims): Promise<Admission> {
  await limits.take(limited, 'login-device', [sub, jti])
  // Each sign-in makes one who knows the password another device.
  const tries = await limits.take(limited, 'login-devices-account', [sub])
  return {
    isSuspicious: false,
    isAlone: tries === 1,
    countFailure: async () => {},
    countSuccess: async () => {},
    giveBack: async () => {},
  }
}

/** One after the other: a request that is refused leaves no trace in what comes after. */
async function admitStranger(limits: Limits, limited: Limited, account: string): Promise<Admission> {
  const address = addressOf(limited.caller)
  // Whoever fails again and again would shut out all who come through the same proxy: there it makes them suspicious, no more.
  const isShared = limited.caller.isShared === true
  const giveBack = async () => {
    await limits.count(limited, 'failed-login-address', [address], -1)
  }
  await limits.take(limited, 'login-address', [address])
  if (!isShared) await limits.requireRoom(limited, 'failed-accounts-address', [address])
  await limits.take(limited, 'login-address-account', [address, account])
  const addFailed = isShared ? limits.count : limits.take
  const failures = await addFailed(limited, 'failed-login-address', [address])
  const ofServer = await limits.count(limited, 'failed-login-server', [], 0)
  const suspiciousFailures = SUSPICIOUS_FAILURES * (isShared ? SHARED_FACTOR : 1)
  let tries: number
  try {
    tries = await limits.take(limited, 'login-account', [account])
    await limits.take(limited, 'login-server', [])
  } catch (error) {
    await giveBack()
    throw error
  }
  return {
    isAlone: tries === 1,
    isSuspicious: failures > suspiciousFailures || ofServer >= LIMITS['failed-login-server'].most,
    giveBack,
    async countFailure() {
      await limits.count(limited, 'failed-login-server', [])
      const isFirst = (await limits.count(limited, 'failed-account-of-address', [address, account])) === 1
      if (isFirst) await limits.count(limited, 'failed-accounts-address', [address])
    },
    async countSuccess() {
      await giveBack()
      const failed = await limits.count(limited, 'failed-account-of-address', [address, account], 0)
      if (failed <= 0) return
      await limits.count(limited, 'failed-account-of-address', [address, account], -failed)
      await limits.count(limited, 'failed-accounts-address', [address], -1)
    },
  }
}
