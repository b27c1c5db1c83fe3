import { registerHooks } from 'node:module'

/**
 * Every attack on the server's own verification is one on the package as well: the same files run here, with a kit that aims
 * at the package.
 */
const INSTEAD: Readonly<Record<string, string>> = {
  './token-kit.ts': new URL('./support/attack-kit.ts', import.meta.url).href,
  'node:test': new URL('./support/no-tests.ts', import.meta.url).href,
}

registerHooks({
  resolve(specifier, context, next) {
    const isAttack = context.parentURL?.includes('/core/security/token-attacks-') ?? false
    return next(isAttack ? (INSTEAD[specifier] ?? specifier) : specifier, context)
  },
})

for (const part of ['form', 'header', 'claims', 'signature']) {
  await import(`../core/security/token-attacks-${part}.test.ts`)
}
