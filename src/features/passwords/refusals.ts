/** Why a new password is refused. */
export const PASSWORD_REFUSALS = ['length', 'characters', 'common', 'context', 'breached'] as const
export type PasswordRefusal = (typeof PASSWORD_REFUSALS)[number]
