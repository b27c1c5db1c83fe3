type Json = Record<string, unknown>
type Claims = { sub: string; sid: string; gen: number; iat: number; exp: number; [name: string]: unknown }

/** What a token says, unverified. */
export const claimsOf = (token: string): Claims => parse(token.split('.')[1])

export const headerOf = (token: string): Json => parse(token.split('.')[0])

const parse = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString())
