import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createEventParser, type StreamEvent } from '../../packages/verify/src/event-stream.ts'

function parse(...pieces: string[]): StreamEvent[] {
  const events: StreamEvent[] = []
  const take = createEventParser((event) => events.push(event))
  for (const piece of pieces) take(piece)
  return events
}

const TEXT = [
  ': a comment\n',
  'event: heartbeat\nid: 1.a\ndata: {"at":1}\n\n',
  'id: 2.b\r\nevent:revocation\r\ndata:one\r\ndata: two\r\n\r\n',
  'data\n\n',
  'event: nothing\nid: 3.c\n\n',
  'retry: 5\nunknown: x\ndata:  ünïcode 🔑\n\n',
  'data: not ended\n',
].join('')

const EVENTS = [
  { event: 'heartbeat', id: '1.a', data: '{"at":1}' },
  { event: 'revocation', id: '2.b', data: 'one\ntwo' },
  { event: 'message', id: undefined, data: '' },
  { event: 'message', id: undefined, data: ' ünïcode 🔑' },
]

test('events are read as the standard says', () => {
  assert.deepEqual(parse(TEXT), EVENTS)
})

test('a line ends with a line feed, a carriage return, or both', () => {
  for (const end of ['\n', '\r', '\r\n']) {
    const text = TEXT.replaceAll('\r\n', '\n').replaceAll('\n', end)
    assert.deepEqual(parse(text, ': more\n'), EVENTS)
  }
})

test('where the stream is cut into pieces does not matter', () => {
  const cuts = fc.array(fc.nat({ max: TEXT.length }), { maxLength: 20 })
  fc.assert(
    fc.property(cuts, fc.constantFrom('\n', '\r\n'), (places, end) => {
      const text = TEXT.replaceAll('\r\n', '\n').replaceAll('\n', end)
      const sorted = [0, ...places.toSorted((one, other) => one - other), text.length]
      const pieces = sorted.slice(1).map((place, index) => text.slice(sorted[index], place))
      assert.deepEqual(parse(...pieces), EVENTS)
    }),
  )
})

test('an id with a zero in it is none', () => {
  assert.deepEqual(parse('id: 1\0\ndata: x\n\n'), [{ event: 'message', id: undefined, data: 'x' }])
})

test('no event may be larger than 64 Ki characters, however it is written', () => {
  const most = 64 * 1024
  assert.equal(parse(`data: ${'x'.repeat(most - 100)}\n\n`).length, 1)
  assert.throws(() => parse(`data: ${'x'.repeat(most)}\n\n`), /larger/)
  assert.throws(() => parse(...Array.from({ length: most }, () => 'xx')), /larger/)
  assert.throws(() => parse(...Array.from({ length: most }, () => ': x\n')), /larger/)
  const small = `data: ${'x'.repeat(1000)}\n\n`
  assert.equal(parse(small.repeat(1000)).length, 1000)
})
