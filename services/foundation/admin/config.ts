import { MIMEType } from 'node:util'
import type { Request } from 'express'
import Type from 'typebox'
import { ConfigError, type Schema } from '../config/schema.ts'
import type { Settings } from '../config/settings.ts'
import { jsonAnswer } from '../http/answer.ts'
import { readBody } from '../http/body.ts'
import { HttpProblem } from '../http/problems.ts'
import { type Route, route } from '../http/route.ts'
import type { Logger } from '../telemetry/logger.ts'
import { changesSchema } from './config-schema.ts'

/**
 * `GET /config`: shows all settings, with secrets masked. `PATCH /config`: changes hot settings, either all or none, by a JSON merge patch (RFC 7396).
 * In the patch, `null` restores the value that the service started with.
 */
export function adminConfigRoutes<S extends Schema>(settings: Settings<S>, logger: Logger): readonly Route[] {
  const shown = () => jsonAnswer(200, JSON.stringify(settings.masked()))
  return [
    route({
      ...CONFIG,
      method: 'GET',
      operationId: 'getConfig',
      summary: 'Shows all settings, with secrets masked',
      problems: [],
      parse: () => undefined,
      execute: shown,
    }),
    route({
      ...CONFIG,
      method: 'PATCH',
      operationId: 'changeConfig',
      summary: 'Changes settings of the running service, either all or none',
      body: { types: PATCH_TYPES, schema: changesSchema(settings.rows), example: {} },
      problems: [...PATCH_PROBLEMS, 'invalid_setting', 'unknown_setting', 'not_changeable'],
      parse: readPatch,
      execute(changes) {
        try {
          settings.change(changes)
        } catch (error) {
          if (error instanceof ConfigError) throw new HttpProblem(error.code, error.message, { cause: error })
          throw error
        }
        logger.info({ changes }, 'settings changed')
        return shown()
      },
    }),
  ]
}

/** Reads a JSON merge patch. @throws {HttpProblem} one of `PATCH_PROBLEMS` */
export async function readPatch(request: Request): Promise<unknown> {
  requirePatchType(request)
  return parseJson(await readBody(request, 16 * 1024))
}

export const PATCH_PROBLEMS = ['unsupported_media_type', 'unsupported_encoding', 'body_too_large', 'empty_body', 'invalid_json'] as const

export const PATCH_TYPES = ['application/merge-patch+json', 'application/json'] as const

const CONFIG = {
  path: '/config',
  access: 'operator',
  limits: 'none',
  answers: {
    200: {
      description: 'All current settings, nested by path.',
      schema: Type.Object({}),
      example: { log: { level: 'info' } },
    },
  },
} as const

/** Requires JSON. A browser lets any page send forms and text. Before it sends JSON, it asks the port, and the port refuses. */
function requirePatchType(request: Request): void {
  if ((PATCH_TYPES as readonly unknown[]).includes(essenceOf(request.headers['content-type'] ?? ''))) return
  const types = PATCH_TYPES.join(', ')
  throw new HttpProblem('unsupported_media_type', `Send one of ${types}.`, { headers: { 'Accept-Patch': types } })
}

function essenceOf(header: string): string | undefined {
  try {
    return new MIMEType(header).essence
  } catch {
    return undefined
  }
}

/** @throws {HttpProblem} empty_body or invalid_json */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) throw new HttpProblem('empty_body', 'Send a JSON object.')
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new HttpProblem('invalid_json', 'The body is not one JSON value.', { cause: error })
  }
}
