import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startServerProcess } from '../support/server-process.ts'

const BUNDLE = '/docs/static/swagger-ui-bundle.js'
const ASKED = 400
/** Of 1.7 MB each, they would take 680. */
const MAX_GROWTH_MIB = 150

const skip = process.platform !== 'linux' && 'only Linux tells the peak of another process’s memory'

async function peakMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) / 1024
}

it('docs: who asks for hundreds of files and reads none does not fill the memory', { skip }, async (t) => {
  const server = await startServerProcess()
  t.after(() => server.kill())
  assert.equal((await server.call('GET', BUNDLE)).status, 200)
  const before = await peakMib(server.pid)
  const socket = connect(server.port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  socket.pause()
  socket.write(`GET ${BUNDLE} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(ASKED))
  await sleep(2000)
  assert.equal((await server.call('GET', '/health')).status, 200)
  const growth = (await peakMib(server.pid)) - before
  assert.ok(growth < MAX_GROWTH_MIB, `${growth} MiB`)
})
