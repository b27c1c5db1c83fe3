import { InvalidValue, type Kind } from './values.ts'

/** Where the database is; `file` is as written, still relative to the directory of the settings. */
export type DatabaseLocation = Readonly<{ kind: 'sqlite'; file: string } | { kind: 'postgres'; url: string }>

/** The scheme with SQLAlchemy's driver suffix, then the rest. */
const FORM = /^(?<scheme>[a-z][a-z0-9]{0,31})(\+[a-z0-9_]+)?:\/\/(?<rest>.*)$/is

/** A database URL, in SQLAlchemy's forms too. The messages hold nothing of it: it may carry a password. */
export const databaseUrl: Kind<DatabaseLocation> = {
  expected:
    'sqlite:///./data/postern.db, sqlite:////absolute/path.db or postgresql://USER:PASSWORD@HOST/DATABASE',
  parse(text) {
    const { scheme, rest = '' } = FORM.exec(text)?.groups ?? {}
    switch (scheme?.toLowerCase()) {
      case 'sqlite':
        return { kind: 'sqlite', file: parseSqliteFile(rest) }
      case 'postgresql':
      case 'postgres':
        return { kind: 'postgres', url: parsePostgresUrl(rest) }
      case undefined:
        throw new InvalidValue('the value is not a database URL')
      default:
        throw new InvalidValue(`databases of the kind ${scheme} are not supported`)
    }
  },
}

function parseSqliteFile(rest: string): string {
  if (/^\/?(:memory:)?$/.test(rest) || rest.startsWith('/file:') || /[?&]mode=memory/.test(rest)) {
    throw new InvalidValue(
      'a database in memory cannot be used: the two connections of the server share a file',
    )
  }
  if (!rest.startsWith('/')) throw new InvalidValue('three slashes must come before the path of the file')
  if (rest.includes('?')) throw new InvalidValue('options after ? are not supported for SQLite')
  if (rest.endsWith('/')) throw new InvalidValue('the path of the file ends in a slash')
  if (/\p{Cc}/u.test(rest)) throw new InvalidValue('the path of the file has control characters')
  return rest.slice(1)
}

function parsePostgresUrl(rest: string): string {
  const text = `postgresql://${rest}`
  const url = URL.parse(text)
  if (!url || /\s/.test(text)) {
    throw new InvalidValue(
      'the URL cannot be read; in the password, characters such as / @ : # must be percent-encoded',
    )
  }
  if (url.hash !== '') throw new InvalidValue('the URL has a fragment; write # in a password as %23')
  if (url.host.includes(',')) throw new InvalidValue('the URL names several hosts; name the primary alone')
  if (url.host === '' && !url.searchParams.has('host')) throw new InvalidValue('the URL names no host')
  if (url.pathname.length < 2) throw new InvalidValue('the URL names no database')
  return text
}
