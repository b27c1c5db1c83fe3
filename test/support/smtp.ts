import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before } from 'node:test'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer, type SMTPServerSession } from 'smtp-server'
import type { Certificate } from './certificates.ts'

/** What the server says to a command: a code to refuse it with, nothing at all, the end of the connection, or yes once that is over. */
export type Answer = number | 'silence' | 'cut' | Promise<unknown>

/** How it goes on from now on, for each command; absent: as it should. */
export type Behaviour = {
  connect?: Answer
  sender?: Answer
  /** By address, or for all. */
  recipient?: Answer | ((address: string) => Answer | undefined)
  message?: Answer
}

export type ReceivedMail = Email & {
  envelopeFrom: string
  envelopeTo: string[]
  isEncrypted: boolean
  /** Who had logged in. */
  user: string | undefined
  source: string
}

export type SmtpOptions = {
  /** With it the server offers STARTTLS; with `isImplicit` it speaks TLS from the first byte on. */
  certificate?: Certificate
  isImplicit?: boolean
  /** Whom it lets send; anybody when absent. */
  credentials?: { name: string; password: string }
  /** Such as AUTH. */
  disabledCommands?: string[]
  port?: number
}

/** A real mail server, which does what the test says. */
export type TestMailServer = {
  port: number
  /** As SMTP_URL, with these credentials. */
  url(credentials?: { name: string; password: string }): string
  /** What it has accepted, in order. */
  mails: ReceivedMail[]
  /** How many have connected. */
  connections(): number
  /** How many messages have come so far, whatever became of them. */
  reading(): number
  behave(next: Behaviour): void
  /** Ends all connections. */
  hangUp(): void
  /** Until so many mails are there. */
  received(count: number, withinMs?: number): Promise<void>
  close(): Promise<void>
}

/** A mail server for all tests of the suite that this is called in. */
export function shareMailServer(): () => TestMailServer {
  let server: TestMailServer | undefined
  before(async () => {
    server = await startMailServer()
  })
  after(() => server?.close())
  return () => server ?? assert.fail('the mail server runs only inside tests')
}

export async function startMailServer(options: SmtpOptions = {}): Promise<TestMailServer> {
  const { certificate, isImplicit = false, credentials, disabledCommands = [] } = options
  const mails: ReceivedMail[] = []
  const arrivals = new EventTarget()
  let connections = 0
  let readings = 0
  let behaviour: Behaviour = {}

  // Not the socket below a TLS one: Node.js would crash.
  const cut = (session?: SMTPServerSession) => {
    for (const connection of server.connections) {
      if (!session || connection.session === session) connection._socket.destroy()
    }
  }
  const answer = (given: Answer | undefined, session: SMTPServerSession, end: (error?: Error) => void) => {
    if (given === 'silence') return
    if (given === 'cut') return cut(session)
    if (typeof given !== 'number') return void Promise.resolve(given).then(() => end())
    // What servers say holds addresses, and now and then more.
    end(Object.assign(new Error('canary: not for ada@example.com'), { responseCode: given }))
  }

  const server = new SMTPServer({
    secure: isImplicit,
    ...certificate,
    ...(credentials ? {} : { authOptional: true }),
    disabledCommands: certificate ? disabledCommands : ['STARTTLS', ...disabledCommands],
    allowInsecureAuth: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    onConnect: (session, end) => {
      connections += 1
      answer(behaviour.connect, session, end)
    },
    onAuth: ({ username, password }, _session, end) => {
      const isRight = username === credentials?.name && password === credentials?.password
      if (isRight) end(null, { user: username })
      else end(new Error(`canary: not ${username} with ${password}`))
    },
    onMailFrom: (_address, session, end) => answer(behaviour.sender, session, end),
    onRcptTo: ({ address }, session, end) => {
      const { recipient } = behaviour
      answer(typeof recipient === 'function' ? recipient(address) : recipient, session, end)
    },
    onData(stream, session, end) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        if (behaviour.message === 'cut') cut(session)
      })
      stream.on('end', async () => {
        if (behaviour.message === 'cut') return
        const received = await read(Buffer.concat(chunks), session)
        readings += 1
        answer(behaviour.message, session, (error) => {
          if (!error) mails.push(received)
          arrivals.dispatchEvent(new Event('mail'))
          end(error)
        })
      })
    },
  })
  server.on('error', () => {})
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo

  return {
    port,
    url(given) {
      const user = given ? `${encodeURIComponent(given.name)}:${encodeURIComponent(given.password)}@` : ''
      const host = certificate ? 'localhost' : '127.0.0.1'
      return `${isImplicit ? 'smtps' : 'smtp'}://${user}${host}:${port}`
    },
    mails,
    connections: () => connections,
    reading: () => readings,
    behave(next) {
      behaviour = next
    },
    hangUp: () => cut(),
    async received(count, withinMs = 15_000) {
      const signal = AbortSignal.timeout(withinMs)
      while (mails.length < count) await once(arrivals, 'mail', { signal })
    },
    async close() {
      cut()
      await new Promise<void>((resolve) => server.close(resolve))
    },
  }
}

async function read(source: Buffer, { envelope, secure, user }: SMTPServerSession): Promise<ReceivedMail> {
  return {
    ...(await PostalMime.parse(source)),
    envelopeFrom: envelope.mailFrom ? envelope.mailFrom.address : '',
    envelopeTo: envelope.rcptTo.map(({ address }) => address),
    isEncrypted: secure,
    user: user as string | undefined,
    source: source.toString('latin1'),
  }
}
