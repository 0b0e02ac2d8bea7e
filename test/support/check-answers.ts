import assert from 'node:assert/strict'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, object>> }>>
}

/** The answers that the OpenAPI document of an address promises. */
class Promises {
  readonly #document: Document
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true })
  readonly #paths: readonly (readonly [RegExp, string])[]

  constructor(document: object) {
    this.#document = document as Document
    addFormats.default(this.#ajv)
    this.#ajv.addSchema(this.#document, 'api')
    this.#paths = Object.keys(this.#document.paths)
      .toSorted((a, b) => a.indexOf('{') - b.indexOf('{'))
      .map(path => [new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`), path] as const)
  }

  /** @throws {AssertionError} the document does not promise this answer */
  check(asked: string, answer: { method: string; path: string; status: number; type: string; body: string }): void {
    const { method, status, type, body } = answer
    const [, path = ''] = this.#paths.find(([pattern]) => pattern.test(answer.path)) ?? []
    const operation = this.#document.paths[path]?.[method.toLowerCase()]
    if (!operation) {
      this.#validate(asked, ['components', 'schemas', 'Problem'], body)
      return
    }
    const content = operation.responses[status]?.content
    assert.ok(content, `${asked}: status ${status} is not documented: ${body.slice(0, 200)}`)
    assert.ok(type in content, `${asked}: ${type} with ${status} is not documented`)
    if (type.endsWith('json')) {
      this.#validate(asked, ['paths', path, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema'], body)
    }
  }

  #validate(asked: string, pointer: readonly string[], body: string): void {
    const steps = pointer.map(step => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1')))
    const $ref = `api#/${steps.join('/')}`
    const validate = (this.#ajv.getSchema($ref) ?? this.#ajv.compile({ $ref })) as ValidateFunction
    assert.ok(validate(JSON.parse(body)), `${asked}: ${this.#ajv.errorsText(validate.errors)}: ${body.slice(0, 300)}`)
  }
}

const promises = new Map<string, Promises>()

/**
 * Makes `fetch` fail if an answer from this origin differs from its OpenAPI document. It ignores answers without a Content-Length.
 * @param url any URL of the service
 * @returns a function that ends the check, because another service may use the port later
 */
export function checkAnswers(url: string, document: object): () => void {
  const { origin } = new URL(url)
  promises.set(origin, new Promises(document))
  return () => promises.delete(origin)
}

const bareFetch = globalThis.fetch

globalThis.fetch = async (input, init) => {
  const response = await bareFetch(input, init)
  const url = new URL(input instanceof Request ? input.url : input)
  const method = init?.method ?? (input instanceof Request ? input.method : 'GET')
  const promised = promises.get(url.origin)
  if (promised && method !== 'HEAD' && response.headers.has('content-length')) {
    const [type = ''] = (response.headers.get('content-type') ?? '').split(';')
    const body = await response.clone().text()
    promised.check(`${method} ${url.pathname}`, { method, path: url.pathname, status: response.status, type, body })
  }
  return response
}
