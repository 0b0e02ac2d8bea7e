import { MIMEType } from 'node:util'
import { type Request, Router } from 'express'
import { ConfigError, type Schema } from '../config/schema.ts'
import type { Settings } from '../config/settings.ts'
import { readBody } from '../http/body.ts'
import { HttpProblem, methodNotAllowed } from '../http/problems.ts'
import type { Logger } from '../telemetry/logger.ts'

/**
 * `GET /config`: all settings, secrets masked. `PATCH /config`: changes hot settings, all or none, by a JSON merge patch (RFC 7396), in which `null`
 * brings back what the service started with.
 */
export function adminConfigRoutes<S extends Schema>(settings: Settings<S>, logger: Logger): Router {
  return Router({ caseSensitive: true, strict: true })
    .get('/config', (_request, response) => {
      response.json(settings.masked())
    })
    .patch('/config', async (request, response) => {
      requirePatchType(request)
      const changes = parseJson(await readBody(request, 16 * 1024))
      try {
        settings.change(changes)
      } catch (error) {
        if (error instanceof ConfigError) throw new HttpProblem(error.code, error.message, { cause: error })
        throw error
      }
      logger.info({ changes }, 'settings changed')
      response.json(settings.masked())
    })
    .all('/config', methodNotAllowed('GET', 'HEAD', 'PATCH'))
}

const PATCH_TYPES = ['application/merge-patch+json', 'application/json']

/** Any page may send a form or text without asking first. For JSON its browser asks, and is told no. */
function requirePatchType(request: Request): void {
  if (PATCH_TYPES.includes(essenceOf(request.headers['content-type'] ?? '') ?? '')) return
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
