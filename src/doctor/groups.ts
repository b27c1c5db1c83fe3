import type { Group } from './check.ts'
import { accounts } from './groups/accounts.ts'
import { audit } from './groups/audit.ts'
import { clock } from './groups/clock.ts'
import { counters } from './groups/counters.ts'
import { database } from './groups/database.ts'
import { files } from './groups/files.ts'
import { forwarding } from './groups/forwarding.ts'
import { keys } from './groups/keys.ts'
import { machine } from './groups/machine.ts'
import { mail } from './groups/mail.ts'
import { outbox } from './groups/outbox.ts'
import { postgres } from './groups/postgres.ts'
import { proxies } from './groups/proxies.ts'
import { publicUrl } from './groups/public-url.ts'
import { secret } from './groups/secret.ts'
import { services } from './groups/services.ts'
import { settings } from './groups/settings.ts'
import { sqlite } from './groups/sqlite.ts'
import { tls } from './groups/tls.ts'

/** All that `postern doctor` looks at, in this order. */
export const GROUPS: readonly Group[] = [
  settings,
  files,
  machine,
  secret,
  database,
  postgres,
  sqlite,
  keys,
  audit,
  accounts,
  proxies,
  forwarding,
  clock,
  counters,
  services,
  tls,
  publicUrl,
  mail,
  outbox,
]
