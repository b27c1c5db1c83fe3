/** What the server asks for `GET /users/me`. */
export const FIND = `select users.*, sessions.id as session_id, sessions.authenticated_at, sessions.rotated_at,
  sessions.expires_at, sessions.revoked_at
  from sessions inner join users on users.id = sessions.user_id where sessions.id = $1`

/** What a refresh comes down to. */
export const ROTATE = `update sessions set generation = generation + 1, rotated_at = $1
  where id = $2 and revoked_at is null returning *`
