import { runWithAnotherInbox } from './another-inbox.ts'

/** What accepting costs is measured against this: an inbox that says yes and stores nothing. */
await runWithAnotherInbox('answer-without-storing', async () => async () => '01890a5d-ac96-774b-bcce-b302099a8057')
