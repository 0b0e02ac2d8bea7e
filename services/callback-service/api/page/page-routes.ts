import { createHash } from 'node:crypto'
import type { Request } from 'express'
import Type from 'typebox'
import type { Answer } from '#foundation/http/answer.ts'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { pathNotFound } from '#foundation/http/problem-handler.ts'
import { type Route, type RouteFacts, route } from '#foundation/http/route.ts'
import { getPageCaller } from './get-caller.ts'
import { type PageFile, PageFiles } from './page-files.ts'

/** What the live page must know before it can ask for anything else. */
export interface PageSession {
  /** Proves that a change comes from the page: see `requirePageToken`. */
  readonly token: string
  /** Whether callers need a key for what concerns callbacks. */
  readonly needsKey: boolean
  /** URL of a trace in the user interface of Zipkin, with `{trace_id}` in the place of its id; null: no spans are sent. */
  readonly traceUrl: string | null
  /** Whether the page can reach the switches of the client service. */
  readonly hasSwitches: boolean
  /** Port for senders, for the commands that the page shows. */
  readonly senderPort: number
  readonly process: { readonly host: string; readonly pid: number; readonly startedAt: Date }
}

/** The routes of the live page: the page, its files, and its session. */
export function pageRoutes(session: PageSession): readonly Route[] {
  const files = new PageFiles()
  return [
    // Before the files, which would take `session` for the name of one.
    sessionRoute(session, files),
    getPageCaller,
    route({
      ...PAGE_FACTS,
      path: '/',
      operationId: 'getPage',
      summary: 'Shows the live page',
      answers: answersOf('The page.', ['text/html']),
      problems: [],
      parse: tagsOf,
      execute: async seen => pageAnswer(await existing(files.file('index.html')), seen),
    }),
    ...['/page/:file', '/page/:folder/:file'].map(path =>
      route({
        ...PAGE_FACTS,
        path,
        operationId: path.includes('folder') ? 'getPageFileInFolder' : 'getPageFile',
        summary: 'Returns a file of the live page',
        params: path.includes('folder')
          ? Type.Object({ folder: Type.String(), file: Type.String() })
          : Type.Object({ file: Type.String() }),
        answers: answersOf('The file.', ['text/javascript', 'text/css', 'text/html']),
        problems: ['not_found'],
        parse: request => ({
          path: Object.values(request.params).join('/'),
          seen: tagsOf(request),
        }),
        execute: async ({ path, seen }) => fileAnswer(await existing(files.file(path)), seen),
      }),
    ),
  ]
}

const PAGE_FACTS = { method: 'GET', access: 'operator', limits: 'none' } as const

function answersOf(description: string, type: readonly string[]): RouteFacts['answers'] {
  return { 200: { description, type, schema: Type.String() }, 304: { description: 'The browser has it already.' } }
}

/** What the browser has. A proxy may weaken a tag, and a list of tags may come (RFC 9110, 13.1.2). */
function tagsOf(request: Request): readonly string[] {
  return (request.get('if-none-match') ?? '').split(',').map(tag => tag.trim().replace(/^W\//, ''))
}

async function existing(file: Promise<PageFile | undefined>): Promise<PageFile> {
  const found = await file
  if (!found) throw pathNotFound()
  return found
}

function pageAnswer(page: PageFile, seen: readonly string[]): Answer {
  const { type, headers, body, status } = fileAnswer(page, seen)
  return { status, ...(type && { type }), headers: { ...headers, 'Content-Security-Policy': policyFor(page) }, body }
}

/** Browsers ask each time whether a file has changed, so that a page after an upgrade is of one piece. */
function fileAnswer({ type, body, etag }: PageFile, seen: readonly string[]): Answer {
  const headers = { ...SAFE_HEADERS, ETag: etag, 'Cache-Control': 'no-cache' }
  return seen.includes(etag) ? { status: 304, headers, body: '' } : { status: 200, type: `${type}; charset=utf-8`, headers, body }
}

const SAFE_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
}

/**
 * The page contacts nothing but this port. The one inline script is the import map, which the policy names by its hash. With trusted types, no text
 * can become markup or code, even by a mistake of ours.
 */
function policyFor({ body }: PageFile): string {
  const [, importMap = ''] = /<script type="importmap">([\s\S]*?)<\/script>/.exec(body.toString()) ?? []
  const hash = createHash('sha256').update(importMap).digest('base64')
  return [
    ...["default-src 'self'", `script-src 'self' 'sha256-${hash}'`, "img-src 'self' data:", "object-src 'none'", "base-uri 'none'"],
    ...["form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"],
  ].join('; ')
}

function sessionRoute({ token, needsKey, traceUrl, hasSwitches, senderPort, process }: PageSession, files: PageFiles): Route {
  const body = {
    kind: 'PageSession',
    href: '/page/session',
    token,
    needs_key: needsKey,
    trace_url: traceUrl,
    has_switches: hasSwitches,
    sender_port: senderPort,
    process: { host: process.host, pid: process.pid, started_at: process.startedAt },
  }
  return route({
    ...PAGE_FACTS,
    path: '/page/session',
    operationId: 'getPageSession',
    summary: 'Returns what the live page must know to begin',
    answers: {
      200: {
        description: 'The session. Its token lasts as long as the process.',
        schema: Type.Object(
          {
            kind: Type.Literal('PageSession'),
            href: Type.String(),
            token: Type.String(),
            needs_key: Type.Boolean(),
            trace_url: Type.Union([Type.String(), Type.Null()]),
            has_switches: Type.Boolean(),
            sender_port: Type.Integer(),
            version: Type.String({ description: 'Changes when a file of the page does.' }),
            process: Type.Object({ host: Type.String(), pid: Type.Integer(), started_at: Type.String({ format: 'date-time' }) }),
          },
          { additionalProperties: false },
        ),
        example: {
          ...body,
          token: 'NrPOR2GKq1KRYH1yX1MFYQ',
          version: 'Yb1fW0pTn7c3kZ8sQmH2xA',
          process: { host: 'replica-1', pid: 4711, started_at: '2026-11-22T02:55:15.725Z' },
        },
      },
    },
    problems: [],
    parse: () => undefined,
    async execute() {
      const version = await files.version()
      return jsonAnswer(200, JSON.stringify({ ...body, version }), { ...SAFE_HEADERS, 'Cache-Control': 'no-store' })
    },
  })
}
