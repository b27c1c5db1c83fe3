import type { Generated, Kysely, Selectable } from 'kysely'
import type { Timestamp } from '../core/clock.ts'
import type { SessionId, UserId } from '../core/ids.ts'
import type { AsymmetricAlgorithm } from '../core/security/algorithms.ts'

export type Tables = {
  users: UsersTable
  sessions: SessionsTable
  signing_keys: SigningKeysTable
  audit_events: AuditEventsTable
  audit_chain: AuditChainTable
  sign_in_failures: SignInFailuresTable
  counters: CountersTable
  registrations: RegistrationsTable
  email_tokens: EmailTokensTable
  outbox: OutboxTable
  revocations: RevocationsTable
  revocation_feed: RevocationFeedTable
  service_keys: ServiceKeysTable
}

/** What every query function takes first: the database, or a transaction on it. */
export type Db = Kysely<Tables>

export type UsersTable = {
  id: UserId
  username: string
  /** The username as it is compared: NFKC, case folded. Unique. */
  username_key: string
  email: string
  /** The address as it is compared: case folded. Unique. */
  email_key: string
  email_verified_at: Timestamp | null
  /** PHC string of argon2id, or bcrypt `$2b$` from an import; null for an account without a password. */
  password_hash: string | null
  /** Cost of an imported bcrypt hash that was not replaced yet, else null. */
  bcrypt_cost: number | null
  /** Moves on whenever sessions are ended together: a sign-in begun before cannot finish after. */
  session_epoch: Generated<number>
  is_active: boolean
  is_superuser: boolean
  /** Language of their mails, as BCP 47 has it; null for the one they ask for. */
  locale: string | null
  created_at: Timestamp
  updated_at: Timestamp
}

export type SessionsTable = {
  id: SessionId
  user_id: UserId
  client_id: string
  /** Space-separated (RFC 6749 section 3.3). */
  scope: string
  /** Audience of the access tokens; null for this server's own. */
  audience: string | null
  created_at: Timestamp
  /** When the person last proved who they are: `auth_time`. */
  authenticated_at: Timestamp
  /** Authentication methods (RFC 8176), space-separated. */
  amr: string
  /** How often the session has been refreshed. */
  generation: Generated<number>
  rotated_at: Timestamp
  /** Address and agent of the last rotation or recovery. */
  ip: string
  user_agent: string
  recovered_generation: number | null
  recovered_at: Timestamp | null
  /** The session's absolute end, however active it is. */
  expires_at: Timestamp
  revoked_at: Timestamp | null
  revoked_reason: string | null
}

export type SigningKeysTable = {
  /** JWK thumbprint (RFC 7638). */
  kid: string
  algorithm: AsymmetricAlgorithm
  /** The public key as a JWK, in JSON. */
  public_jwk: string
  /** The private key as a JWK in JSON, sealed with a key derived from SECRET_KEY. */
  sealed_private_jwk: string
  created_at: Timestamp
  /** Null while it is the next, and nobody has said from when. */
  signs_from: Timestamp | null
  /** Null while nobody has said which comes after it. */
  signs_until: Timestamp | null
  revoked_at: Timestamp | null
}

/** Whose access tokens are not to be believed any more, though they have not expired: a session's, or a key's. */
export type RevocationsTable = {
  /** The id of the session, or the `kid` of the key. */
  subject: string
  kind: 'session' | 'key'
  /** Its place in the feed, from 1; null until it is published, once its transaction has been committed. */
  seq: number | null
  /** Random: tells this place from the one that a restored backup gives the same number. */
  mark: string | null
  /** Of the place before. */
  previous_mark: string | null
  published_at: Timestamp | null
}

/** One row: where the feed ends. */
export type RevocationFeedTable = {
  id: number
  seq: number
  mark: string
}

/** What services of the operator's show to be let in. */
export type ServiceKeysTable = {
  id: string
  name: string
  /** SHA-256 of the secret part, in base64url. */
  secret_hash: string
  /** Space-separated (RFC 6749 section 3.3). */
  scope: string
  created_at: Timestamp
  used_at: Timestamp | null
  revoked_at: Timestamp | null
}

export type AuditEventsTable = {
  id: string
  occurred_at: Timestamp
  type: string
  /** Who acted: `user`, `anonymous`, `operator`, `server`, or `unknown` in rows of an older version. */
  actor: Generated<string>
  /** The user who acted. */
  actor_id: UserId | null
  /** The operator's name in their operating system, or the name of the server's host. */
  actor_name: string | null
  /** Whom it concerns; stays when the user is deleted. */
  user_id: UserId | null
  session_id: SessionId | null
  ip: string | null
  user_agent: string | null
  request_id: string | null
  /** Further facts, in JSON. */
  detail: string | null
  /** Proves that who wrote the row had the key of the chain; null when they did not. */
  mac: string | null
  /** Its place in the chain, from 1; null until it is sealed. */
  seq: number | null
  /** Covers the row, its place and the hash of the row before it. */
  hash: string | null
}

/** One row: where the chain of events begins and ends. */
export type AuditChainTable = {
  id: number
  /** The key of the chain, sealed with a key derived from SECRET_KEY. */
  sealed_key: string
  /** The last event that was pruned, and its hash; 0 when none was. */
  pruned_seq: number
  pruned_hash: string
  /** The last event that was sealed, and its hash; 0 when none was. */
  seq: number
  hash: string
  sealed_at: Timestamp
  /** Signs the five columns before it. */
  mac: string
}

/** Failures in a row: of guesses at a name, whether anybody has it or not, of those from a device, or of reauthentications. */
export type SignInFailuresTable = {
  /** A MAC: who reads the table learns no names. */
  key: string
  failures: number
  /** No try is looked at before. */
  next_try_at: Timestamp
  failed_at: Timestamp
}

/** Counters that all nodes share: on PostgreSQL alone. */
export type CountersTable = {
  /** A MAC, as in `sign_in_failures`. */
  key: string
  count: number
  ends_at: Timestamp
}

/** Accounts that begin when their address is verified. Until then nobody has the address, and all of them the name. */
export type RegistrationsTable = {
  id: string
  username: string
  username_key: string
  email: string
  email_key: string
  password_hash: string
  locale: string | null
  created_at: Timestamp
  expires_at: Timestamp
}

/** What was sent to an address, and proves that whoever brings it reads what comes there. */
export type EmailTokensTable = {
  id: string
  kind: string
  /** One for each kind and owner, so that a newer one takes the place of an older; a MAC where there is no owner. */
  slot: string
  /** Stands for kind and address, so that a code can be found by them. A MAC. */
  address_key: string
  /** SHA-256, in base64url. */
  token_hash: string
  /** Null where there is no code. */
  code_mac: string | null
  code_failures: Generated<number>
  /** Both null where nobody has the address: what is asked for costs the same. */
  user_id: UserId | null
  registration_id: string | null
  /** The address that it proves; empty where nobody has it. */
  email: string
  /** SHA-256 of what the browser or client that asked keeps; null where any may come. */
  binding_hash: string | null
  created_at: Timestamp
  expires_at: Timestamp
  consumed_at: Timestamp | null
}

/** Mails that wait to be sent, and those that were given up. */
export type OutboxTable = {
  /** Its Message-ID is made of it. */
  id: string
  kind: string
  user_id: UserId | null
  /** Null for nobody: such a row costs what a mail costs, and is dropped. */
  recipient: string | null
  /** BCP 47 */
  locale: string
  /** What the mail tells, in JSON, sealed with a key derived from SECRET_KEY: it may hold a token. Null once it was given up. */
  sealed_data: string | null
  attempts: Generated<number>
  created_at: Timestamp
  /** Whoever takes it moves this on, so that nobody else does. */
  next_attempt_at: Timestamp
  gave_up_at: Timestamp | null
  /** A code or the kind of error, without what the server said. */
  last_error: string | null
}

export type User = Selectable<UsersTable>
export type Session = Selectable<SessionsTable>
export type StoredEvent = Selectable<AuditEventsTable>
export type StoredChain = Selectable<AuditChainTable>
