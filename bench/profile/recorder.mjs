// Loaded before the server (`node --import`): a first SIGUSR2 begins a profile, a second writes it to PROFILE_FILE.
import { renameSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'

const SAMPLE_EVERY_US = 200
const session = new Session()
session.connect()

process.once('SIGUSR2', async () => {
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_US })
  await session.post('Profiler.start')
  process.once('SIGUSR2', async () => {
    const { profile } = await session.post('Profiler.stop')
    const file = process.env.PROFILE_FILE
    writeFileSync(`${file}.part`, JSON.stringify(profile))
    renameSync(`${file}.part`, file)
  })
})
