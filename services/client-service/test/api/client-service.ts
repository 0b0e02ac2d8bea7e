import { pino } from 'pino'
import { HttpServer } from '#foundation/http/server.ts'
import { httpTelemetry } from '#foundation/http/telemetry.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { clientApp } from '../../api/app.ts'
import { HeldAnswers } from '../../api/held-answers.ts'
import { type Behaviour, clientServiceRoutes } from '../../api/routes.ts'

const logger = pino({ level: 'silent' })

const NO_FAULTS = {
  errorShare: 0,
  tooManyRequestsShare: 0,
  notFoundShare: 0,
  hangShare: 0,
  dripShare: 0,
  garbageShare: 0,
  wrongIdShare: 0,
  resetShare: 0,
  down: false,
  objectIds: '',
  retryAfterSeconds: 3,
  dripIntervalMs: 5,
} as const

export type Faults = Partial<Behaviour['faults']>

/** The HTTP part of the client service on a free port. It has no delay and no faults until the test sets them. */
export class TestClientService {
  readonly held = new HeldAnswers()
  readonly answers: string[] = []
  random = Math.random
  /** Passes the id of the request to the problem answer. */
  readonly #telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 0, logger })
  readonly #server: HttpServer
  #behaviour: Behaviour = { latency: { minMs: 0, maxMs: 0 }, faults: NO_FAULTS }

  constructor() {
    this.#server = new HttpServer({
      name: 'http',
      port: 0,
      host: '127.0.0.1',
      logger,
      handler: clientApp({
        isDown: () => this.#behaviour.faults.down,
        telemetry: httpTelemetry({ logger, isTraced: () => true }),
        routes: clientServiceRoutes({
          behaviour: () => this.#behaviour,
          held: this.held,
          random: () => this.random(),
          onAnswer: kind => this.answers.push(kind),
          checks: [],
        }),
        logger,
      }),
    })
  }

  get port(): number {
    return this.#server.port
  }

  behave({ latency, faults }: { latency?: Behaviour['latency']; faults?: Faults }): void {
    this.#behaviour = { latency: latency ?? this.#behaviour.latency, faults: { ...NO_FAULTS, ...faults } }
  }

  start(): Promise<void> {
    this.#telemetry.start()
    return this.#server.start()
  }

  async stop(): Promise<void> {
    this.held.stop()
    await this.#server.stop()
  }

  fetch(path: string, options: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, options)
  }
}
