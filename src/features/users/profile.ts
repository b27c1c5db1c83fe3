import type { User } from '../../database/tables.ts'

/** A user as they and administrators see them. */
export const toProfile = (user: User) => ({
  id: user.id,
  username: user.username,
  email: user.email,
  is_active: user.is_active,
  is_superuser: user.is_superuser,
  email_verified: user.email_verified_at !== null,
  locale: user.locale,
  created_at: new Date(user.created_at).toISOString(),
  updated_at: new Date(user.updated_at).toISOString(),
})
