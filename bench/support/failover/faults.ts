import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Roles } from './cluster.ts'

const BEHIND_MS = 1000

/** A fault of a healthy cluster, and how the cluster becomes healthy again. */
export interface Fault {
  readonly name: string
  /** Whether the fault makes the standby the primary. */
  readonly movesPrimary: boolean
  readonly inflict: (roles: Roles, cluster: Cluster) => Promise<void> | void
  /** Begins the recovery. Patroni does the rest. */
  readonly heal: (roles: Roles) => void
}

const KILLED: Fault = {
  name: 'primary killed',
  movesPrimary: true,
  inflict: ({ primary }) => primary.kill(),
  heal: ({ primary }) => primary.start(),
}

/** The commits of the primary's last second must not be acknowledged, because the standby does not have them on its disk. */
const KILLED_AHEAD: Fault = {
  name: 'primary killed, standby behind',
  movesPrimary: true,
  inflict: async ({ primary, standby }) => {
    standby.freeze()
    await sleep(BEHIND_MS)
    await primary.kill()
    standby.thaw()
  },
  heal: ({ primary }) => primary.start(),
}

const POSTGRES_KILLED: Fault = {
  name: 'primary killed, agent alive',
  movesPrimary: true,
  inflict: ({ primary }) => primary.killPostgres(),
  heal: () => undefined,
}

/** The former primary wakes up with its old connections and still believes that it is the primary. */
const FROZEN: Fault = {
  name: 'primary frozen',
  movesPrimary: true,
  inflict: ({ primary }) => primary.freeze(),
  heal: ({ primary }) => primary.thaw(),
}

const SWITCHOVER: Fault = {
  name: 'switchover',
  movesPrimary: true,
  inflict: (roles, cluster) => cluster.switchover(roles),
  heal: () => undefined,
}

const STANDBY_KILLED: Fault = {
  name: 'standby killed',
  movesPrimary: false,
  inflict: ({ standby }) => standby.kill(),
  heal: ({ standby }) => standby.start(),
}

const STANDBY_FROZEN: Fault = {
  name: 'standby frozen',
  movesPrimary: false,
  inflict: ({ standby }) => standby.freeze(),
  heal: ({ standby }) => standby.thaw(),
}

/** The faults in their order, which repeats from the start. Each kind is among the first seven. */
export const FAULTS: readonly Fault[] = [
  KILLED_AHEAD,
  SWITCHOVER,
  STANDBY_FROZEN,
  POSTGRES_KILLED,
  FROZEN,
  STANDBY_KILLED,
  KILLED,
  SWITCHOVER,
  KILLED,
  STANDBY_FROZEN,
]
