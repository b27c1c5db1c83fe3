import { defineGroup } from '../check.ts'

export const mail = defineGroup('mail', () => ({}), [
  {
    id: 'mail.set_up',
    level: 'info',
    why: 'Addresses are not verified, and who has forgotten the password has no way back by themselves',
    mend: 'Nothing can be done yet: this version of Postern sends no mail',
    find: () => 'Mail is not set up',
  },
])
