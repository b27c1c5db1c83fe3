import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onEachDatabase, PASSWORD } from '../kit.ts'
import { cliEnv, runCli } from '../support/cli.ts'
import { deliverOne, post, proofIn, registerVerified, startMailing } from '../support/mails.ts'
import { listEvents } from '../support/people.ts'
import { assertProblem } from '../support/replies.ts'
import { shareMailServer } from '../support/smtp.ts'

const NEW_PASSWORD = 'another horse battery staple'

onEachDatabase('postern users remove-password', ({ start }) => {
  const mails = shareMailServer()

  it('[V6.4.6] [NIST63B-norotate] after a leak the password opens nothing, until another is set by mail; and every session ends', async () => {
    const mailing = await startMailing(start, mails())
    const { server } = mailing
    const env = {
      ...cliEnv(server),
      SMTP_URL: mails().url(),
      SMTP_STARTTLS: 'false',
      EMAIL_FROM: 'auth@example.com',
    }
    const ada = await registerVerified(mailing)
    const { id } = (await server.me(ada.tokens.access_token)).body
    // A thief who knows the password asks for another address, and would confirm it with the password.
    const json = { email: 'thief@example.com', current_password: PASSWORD }
    const changed = await server.call('PATCH', `${API}/users/me`, { json, token: ada.tokens.access_token })
    assert.equal(changed.status, 200, changed.text)
    const change = proofIn(await deliverOne(mailing, json.email))
    await post(server, '/auth/forgot-password', { email: ada.email })
    const asked = proofIn(await deliverOne(mailing, ada.email))

    const removed = await runCli(['users', 'remove-password', 'ADA'], { env })
    const told = `Removed the password, and ended all sessions of, ada (${ada.email}): a new one is set by mail.\n`
    assert.deepEqual(removed, { code: 0, stdout: '', stderr: told })
    assert.equal((await server.me(ada.tokens.access_token)).status, 401)
    assert.equal((await server.refresh(ada.tokens.refresh_token)).status, 401)
    const form = { username: 'ada', password: PASSWORD }
    assertProblem(await server.call('POST', `${API}/auth/login`, { form }), {
      status: 401,
      code: 'invalid_credentials',
      challenge: 'Bearer realm="postern"',
    })
    const late = await post(server, '/auth/verify-email', { token: change.token, password: PASSWORD })
    assertProblem(late, { status: 400, code: 'email_token_invalid' })
    const stolen = { token: asked.token, new_password: NEW_PASSWORD }
    const tooLate = await post(server, '/auth/reset-password', stolen)
    assertProblem(tooLate, { status: 400, code: 'email_token_invalid' })

    const again = await runCli(['users', 'remove-password', ada.email], { env })
    assert.deepEqual([again.code, again.stderr], [0, `ada (${ada.email}) has no password.\n`])
    const events = (await listEvents(server, id)).filter(({ actor }) => actor === 'operator')
    assert.deepEqual(events.map(({ type }) => type).sort(), ['session.ended', 'user.password_removed'])

    await post(server, '/auth/forgot-password', { email: ada.email })
    const { token } = proofIn(await deliverOne(mailing, ada.email))
    const reset = await post(server, '/auth/reset-password', { token, new_password: NEW_PASSWORD })
    assert.equal(reset.status, 204, reset.text)
    await server.login({ username: 'ada', password: NEW_PASSWORD })
  })

  it('where nothing sends mail it is refused, and changes nothing', async () => {
    const server = await start()
    const ada = await server.register({ username: 'ada' })
    const env = { ...cliEnv(server), PUBLIC_URL: 'https://auth.example.com' }
    const { code, stderr } = await runCli(['users', 'remove-password', 'ada'], { env })
    assert.equal(code, 1)
    assert.match(
      stderr,
      /^postern: Nothing sends mail, so that a new password could not be set: set SMTP_URL,/m,
    )
    await server.login(ada)
  })
})
