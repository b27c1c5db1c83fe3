/** What a token or a service key may let somebody do here. */
export const SCOPES = ['revocations:read', 'tokens:introspect'] as const
export type Scope = (typeof SCOPES)[number]
