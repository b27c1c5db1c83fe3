import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerJobs } from '../child.ts'
import { type Connection, openConnection } from './connection.ts'
import type { Load, LoadResult } from './load.ts'
import { refreshRequest } from './request.ts'

const NS_PER_MS = 1e6

answerJobs<Load, LoadResult>(async (load) => {
  const connections = await Promise.all(
    Array.from({ length: load.connections }, () => openConnection(load.address)),
  )
  const stopSpinning = load.isAwake ? spin() : () => {}
  try {
    return await drive(load, connections)
  } finally {
    stopSpinning()
    for (const connection of connections) connection.close()
  }
})

async function drive(load: Load, connections: Connection[]): Promise<LoadResult> {
  const tally = createTally()
  const startedAt = performance.now()
  const deadline = startedAt + load.seconds * 1000
  const nextDue = load.rate === undefined ? () => performance.now() : dueTimes(startedAt, load.rate)
  let next = 0
  const nextRequest = () => load.requests[load.isOnce ? next++ : next++ % load.requests.length]

  await Promise.all(
    connections.map(async (connection, index) => {
      let request = load.isChain ? load.requests[index] : nextRequest()
      for (let due = nextDue(); request !== undefined && due < deadline; due = nextDue()) {
        // Timers know whole milliseconds: rather a little early, and timed from then, than late.
        const early = Math.floor(due - performance.now())
        if (early > 0) await sleep(early)
        const from = Math.min(due, performance.now())
        const reply = await connection.send(request)
        tally.add(reply.status, performance.now() - from)
        request = load.isChain ? follow(load, reply) : nextRequest()
      }
    }),
  )
  return tally.result((performance.now() - startedAt) / 1000)
}

/** When the next request is due: whoever is free first takes it, at once when it is late. */
function dueTimes(startedAt: number, rate: number): () => number {
  let count = 0
  return () => startedAt + (count++ * 1000) / rate
}

function follow({ address }: Load, { status, body }: { status: number; body: string }): string {
  if (status !== 200) throw new Error(`A refresh was answered with ${status}: ${body}`)
  return refreshRequest(address, JSON.parse(body).refresh_token)
}

function createTally() {
  const latencies = createHistogram()
  const refused: Record<string, number> = {}
  let answered = 0
  return {
    add(status: number, ms: number) {
      latencies.record(Math.max(1, Math.round(ms * NS_PER_MS)))
      if (status === 200) answered += 1
      else refused[status] = (refused[status] ?? 0) + 1
    },
    result: (seconds: number): LoadResult => ({
      answered,
      refused,
      seconds,
      perSecond: answered / seconds,
      p50Ms: latencies.percentile(50) / NS_PER_MS,
      p99Ms: latencies.percentile(99) / NS_PER_MS,
    }),
  }
}

/** Never lets the event loop sleep. */
function spin(): () => void {
  let isOver = false
  const turn = () => {
    if (!isOver) setImmediate(turn)
  }
  turn()
  return () => {
    isOver = true
  }
}
