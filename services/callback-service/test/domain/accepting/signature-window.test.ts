import assert from 'node:assert/strict'
import { retentionFor } from '../../../domain/accepting/signature-window.ts'

describe('the retention of callbacks', () => {
  const unsigned = { signingSecrets: [] }
  const signed = { signingSecrets: ['a secret'] }

  for (const [what, workspaces, settingSeconds, seconds] of [
    ['is that of the setting if no workspace has secrets', [unsigned, unsigned], 1, 1],
    ['is ten minutes or more if one has', [unsigned, signed], 1, 600],
    ['is that of the setting if that is longer', [unsigned, signed], 3600, 3600],
    ['is ten minutes or more while the workspaces are unknown', undefined, 1, 600],
  ] as const) {
    it(what, () => assert.equal(retentionFor(workspaces, settingSeconds), seconds))
  }
})
