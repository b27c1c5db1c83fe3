import { createIntrospection } from './introspection.ts'
import type { OnGap } from './options.ts'
import type { Fetch } from './requests.ts'
import type { ServiceKey } from './service-key.ts'
import type { TokenErrorCode } from './token-error.ts'

/** What is done while it is not known which sessions have ended. */
export type Gap = {
  isOpen(): boolean
  /** Why a token is not accepted all the same; undefined when it is. Never rejects. */
  findFault(token: string): Promise<TokenErrorCode | undefined>
}

export function createGap({
  onGap,
  maxStalenessSeconds,
  stalenessMs,
  ...server
}: {
  onGap: OnGap
  maxStalenessSeconds: number
  stalenessMs: () => number
  /** Where tokens are introspected. */
  url: string
  fetch: Fetch
  key: ServiceKey
  onError: (error: Error) => void
}): Gap {
  const introspect = createIntrospection(server)
  const maxStalenessMs = maxStalenessSeconds * 1000

  async function findFault(token: string): Promise<TokenErrorCode | undefined> {
    if (onGap === 'accept') return undefined
    const isActive = onGap === 'introspect' ? await introspect(token) : undefined
    if (isActive === undefined) return 'unavailable'
    return isActive ? undefined : 'token_revoked'
  }

  return { isOpen: () => stalenessMs() > maxStalenessMs, findFault }
}
