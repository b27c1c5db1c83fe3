import { generate } from 'selfsigned'
import { DAY } from '../../src/core/clock.ts'

/** In PEM. */
export type Certificate = { key: string; cert: string }

type Lifetime = { fromDays?: number; toDays?: number }

/** An authority of our own, which nobody trusts unless told to. */
export async function createAuthority(): Promise<Certificate> {
  const made = await generate([{ name: 'commonName', value: 'Authority of the tests' }], {
    ...options({}),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  })
  return { key: made.private, cert: made.cert }
}

/** A certificate for a host, valid so many days from now and until then; signed by itself without an authority. */
export async function createCertificate(
  host: string,
  authority?: Certificate,
  lifetime: Lifetime = {},
): Promise<Certificate> {
  const made = await generate([{ name: 'commonName', value: host }], {
    ...options(lifetime),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: host }] },
    ],
    ...(authority && { ca: authority }),
  })
  return { key: made.private, cert: made.cert }
}

const options = ({ fromDays = -30, toDays = 60 }: Lifetime) =>
  ({
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() + fromDays * DAY),
    notAfterDate: new Date(Date.now() + toDays * DAY),
  }) as const
