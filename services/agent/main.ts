import { run } from '#foundation/lifecycle/run.ts'
import { contradictionIn, schema } from './config.ts'
import { parts } from './service.ts'

await run({ name: 'agent', schema, check: contradictionIn, parts })
