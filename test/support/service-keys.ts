import type { Context } from '../../src/context.ts'
import type { Scope } from '../../src/core/scopes.ts'
import { createServiceKey } from '../../src/features/service-keys/service-keys.ts'
import { rememberSecret } from './traces.ts'

/** A key for a service, which nothing may show. */
export async function makeServiceKey(
  { context }: { context: Pick<Context, 'db' | 'clock'> },
  scopes: Scope[],
): Promise<{ id: string; secret: string }> {
  const key = await createServiceKey(context, { name: 'api', scopes })
  rememberSecret(key.secret)
  return key
}
