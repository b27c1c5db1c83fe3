// biome-ignore lint/performance/noBarrelFile: this is what the package offers.
export { type AccessClaims, hasScope } from './claims.ts'
export type { OnGap, RevocationOptions, VerifierOptions } from './options.ts'
export { TokenError, type TokenErrorCode } from './token-error.ts'
export { createVerifier, type Verifier } from './verifier.ts'
