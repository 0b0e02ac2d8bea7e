import { run } from '#foundation/run.ts'
import { contradictionIn, schema } from './config.ts'
import { parts } from './service.ts'

await run({ name: 'callback-service', schema, check: contradictionIn, parts })
