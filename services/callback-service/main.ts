import { run } from '#foundation/lifecycle/run.ts'
import { schema } from './config.ts'
import { contradictionIn } from './config-checks.ts'
import { parts } from './service.ts'

await run({ name: 'callback-service', schema, check: contradictionIn, parts })
