import { runWithAnotherInbox } from './another-inbox.ts'

/** The baseline for the cost of accepting: an inbox that accepts everything and stores nothing. */
await runWithAnotherInbox('answer-without-storing', async () => async () => '01890a5d-ac96-774b-bcce-b302099a8057')
