import { patchConfig } from '../../support/callbacks.ts'
import { ONE_UNRELIABLE_OBJECT, UNRELIABLE_OBJECTS } from '../objects.ts'
import { type Deed, lasting, type Victim } from './deed.ts'

/** Makes the faults of the client service: of all of it, or of a few objects. */
export const CLIENT_DEEDS = {
  'client errs': victim => misanswer(victim, { errorShare: victim.share }),
  'client pushes back': victim => misanswer(victim, { tooManyRequestsShare: victim.share }),
  'client hangs': victim => misanswer(victim, { hangShare: victim.share }),
  'client drips': victim => misanswer(victim, { dripShare: victim.share }),
  'client babbles': victim => misanswer(victim, { garbageShare: victim.share }),
  'client mistakes ids': victim => misanswer(victim, { wrongIdShare: victim.share }),
  'client resets': victim => misanswer(victim, { resetShare: victim.share }),
  'client goes away': victim => misanswer(victim, { down: true }),
  'client is killed': ({ system }) => system.client.kill(),
  'one object pushes back': victim =>
    misanswer(victim, { tooManyRequestsShare: 1, retryAfterSeconds: 5, objectIds: ONE_UNRELIABLE_OBJECT }),
  'some objects err': victim => misanswer(victim, { errorShare: 1, objectIds: UNRELIABLE_OBJECTS }),
  'some objects hang': victim => misanswer(victim, { hangShare: 1, objectIds: UNRELIABLE_OBJECTS }),
} as const satisfies Readonly<Record<string, Deed>>

const NO_FAULTS = {
  errorShare: 0,
  tooManyRequestsShare: 0,
  hangShare: 0,
  dripShare: 0,
  garbageShare: 0,
  wrongIdShare: 0,
  resetShare: 0,
  retryAfterSeconds: 1,
  objectIds: '',
  down: false,
}

async function misanswer({ system, forMs }: Victim, faults: Partial<typeof NO_FAULTS>): Promise<void> {
  const { adminUrl } = await system.client.running()
  await lasting(
    forMs,
    () => patchConfig(adminUrl, { faults }),
    () => patchConfig(adminUrl, { faults: NO_FAULTS }),
  )
}
