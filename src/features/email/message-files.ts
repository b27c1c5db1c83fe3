import { FileError } from './template-files.ts'

/** A message as a file has it. */
export type Message = { key: string; text: string; line: number }

type Token = { text: string; line: number }

const TOKEN = /"(?:[^"\\\n]|\\.)*"|[{}:,]|[^\s{}:,"]+|"/g

/**
 * Reads JSON objects within objects, and the texts in them; the key of a text is its path with dots. JSON.parse tells
 * neither the line of a key nor that one is there twice.
 * @throws FileError
 */
export function readMessages(source: string): Message[] {
  const tokens = tokenize(source)
  const messages: Message[] = []
  const seen = new Set<string>()
  let position = 0
  const peek = () => tokens[position] ?? { text: 'the end of the file', line: tokens.at(-1)?.line ?? 1 }
  const fail = (expected: string): never => {
    throw new FileError(`expected ${expected}, found ${peek().text}`, peek().line)
  }
  const skip = (text: string): boolean => {
    if (peek().text !== text) return false
    position += 1
    return true
  }
  const expect = (...texts: string[]) =>
    texts.some(skip) || fail(texts.map((text) => `"${text}"`).join(' or '))
  const readString = (expected: string): Token => {
    const { text, line } = peek()
    if (!/^".*"$/s.test(text)) fail(expected)
    position += 1
    return { text: parseString(text, line), line }
  }
  const readObject = (path: string): void => {
    expect('{')
    if (skip('}')) return
    do {
      const { text: name, line } = readString('a key in double quotes')
      const key = `${path}${name}`
      expect(':')
      if (seen.has(key)) throw new FileError(`${key}: it is there twice`, line)
      seen.add(key)
      if (peek().text === '{') readObject(`${key}.`)
      else messages.push({ key, text: readString('a text in double quotes, or "{"').text, line })
    } while (skip(','))
    expect('}', ',')
  }
  readObject('')
  if (position < tokens.length) fail('the end of the file')
  return messages
}

function tokenize(source: string): Token[] {
  let line = 1
  let end = 0
  return [...source.matchAll(TOKEN)].map(({ 0: text, index }) => {
    line += source.slice(end, index).split('\n').length - 1
    end = index
    return { text, line }
  })
}

function parseString(text: string, line: number): string {
  try {
    return JSON.parse(text)
  } catch {
    throw new FileError(`${text} is no text of JSON`, line)
  }
}
