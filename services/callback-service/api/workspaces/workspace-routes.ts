import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import {
  linkHeader,
  listSchema,
  listText,
  PAGE_HEADERS,
  PAGE_PARAMETERS,
  type PageRequest,
  type Paging,
  pageOf,
  readPageRequest,
} from '#foundation/http/paging.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { WORKSPACE_NAME, type Workspace } from '../../domain/workspaces/workspace.ts'
import {
  type IsAllowedUrl,
  type NewWorkspace,
  parseNewWorkspace,
  parseWorkspaceChanges,
  type WorkspaceChanges,
} from '../../domain/workspaces/workspace-changes.ts'
import { callerOf } from '../gates/caller-of.ts'
import {
  BODY_PROBLEMS,
  jsonBodyOf,
  nothingHere,
  requireNoForm,
  SUBJECT_PROBLEMS,
  subjectOf,
  WorkspaceName,
  workspaceNotFound,
} from './subject.ts'
import {
  EXAMPLE_WORKSPACE,
  hrefOfWorkspace,
  NewWorkspaceSchema,
  WorkspaceChangesSchema,
  WorkspaceSchema,
  workspaceBody,
} from './workspace-representation.ts'

/** The workspaces, as the routes need them. A change is on the disk when its promise resolves. */
export interface Workspaces {
  find(name: string): Promise<Workspace | undefined>
  /** Reads a page, ordered by name. @param page.limit one more than the page shows, to find out whether there are more */
  list(page: PageRequest<string>): Promise<readonly Workspace[]>
  create(workspace: NewWorkspace): Promise<Workspace>
  /** The three return undefined if there is no such workspace. */
  change(name: string, changes: WorkspaceChanges): Promise<Workspace | undefined>
  archive(name: string): Promise<Workspace | undefined>
  restore(name: string): Promise<Workspace | undefined>
}

/** Members that only a superuser may change, because they cost other workspaces something. */
const OPERATORS_MEMBERS = ['clientServiceUrl', 'weight', 'limits'] as const

/** Routes of workspaces. A caller that is not a superuser has only its own. What a caller may not see or do is `not_found`. */
export function workspaceRoutes(workspaces: Workspaces, isAllowedUrl: IsAllowedUrl): readonly Route[] {
  return [
    route({
      ...ALL,
      method: 'GET',
      operationId: 'listWorkspaces',
      summary: 'Lists the workspaces, ordered by name',
      access: 'manage',
      query: Type.Object(PAGE_PARAMETERS),
      answers: {
        200: {
          description: 'A page of workspaces. Archived ones are among them.',
          schema: listSchema('WorkspaceList', 'workspaces', WorkspaceSchema),
          headers: PAGE_HEADERS,
          example: { kind: 'WorkspaceList', id: 'workspaces', href: '/v1/workspaces?limit=100', size: 1, items: [EXAMPLE_WORKSPACE] },
        },
      },
      problems: ['invalid_parameter', 'too_many_reads', 'storage_unavailable'],
      parse: request => ({ page: readPageRequest(request, PAGING), caller: callerOf(request) }),
      async execute({ page: asked, caller }) {
        const found =
          caller.role === 'superuser'
            ? await workspaces.list({ ...asked, limit: asked.limit + 1 })
            : await own(caller.workspace.name, asked)
        const page = pageOf({ paging: PAGING, asked, filters: {}, found, keyOf: ({ name }) => name })
        const texts = page.items.map(workspace => JSON.stringify(workspaceBody(workspace)))
        return jsonAnswer(200, listText('WorkspaceList', 'workspaces', page, texts), linkHeader(page))
      },
    }),
    route({
      ...ALL,
      method: 'POST',
      operationId: 'createWorkspace',
      summary: 'Creates a workspace',
      access: 'superuser',
      body: { types: ['application/json'], schema: NewWorkspaceSchema, example: { name: 'shop', limits: { requests_per_second: 100 } } },
      answers: {
        201: {
          ...SHOWN,
          description: 'The new workspace.',
          headers: { Location: Type.String({ description: 'The href of the workspace.' }) },
        },
      },
      problems: [
        ...BODY_PROBLEMS,
        ...['workspace_exists', 'too_many_workspaces', 'too_many_client_services', 'too_many_reads', 'storage_unavailable'],
      ],
      async parse(request) {
        return parseNewWorkspace(await jsonBodyOf(request), isAllowedUrl)
      },
      async execute(created) {
        const workspace = await workspaces.create(created)
        return jsonAnswer(201, JSON.stringify(workspaceBody(workspace)), { Location: hrefOfWorkspace(workspace.name) })
      },
    }),
    route({
      ...ONE,
      method: 'GET',
      operationId: 'getWorkspace',
      summary: 'Returns a workspace',
      access: 'manage',
      answers: { 200: { ...SHOWN, description: 'The workspace.' } },
      problems: SUBJECT_PROBLEMS,
      parse: subjectOf,
      execute: async name => shown(await workspaces.find(name)),
    }),
    route({
      ...ONE,
      method: 'PATCH',
      operationId: 'changeWorkspace',
      summary: 'Changes a workspace by a JSON merge patch',
      access: 'manage',
      body: { types: ['application/merge-patch+json', 'application/json'], schema: WorkspaceChangesSchema, example: { paused: true } },
      answers: { 200: { ...SHOWN, description: 'The workspace with its changes.' } },
      problems: [...BODY_PROBLEMS, ...SUBJECT_PROBLEMS, 'default_workspace', 'too_many_client_services'],
      async parse(request) {
        const name = subjectOf(request)
        const changes = parseWorkspaceChanges(await jsonBodyOf(request), isAllowedUrl)
        if (callerOf(request).role !== 'superuser' && OPERATORS_MEMBERS.some(member => member in changes)) throw nothingHere()
        return { name, changes }
      },
      execute: async ({ name, changes }) => shown(await workspaces.change(name, changes)),
    }),
    route({
      ...ONE,
      method: 'DELETE',
      operationId: 'archiveWorkspace',
      summary: 'Archives a workspace: it accepts nothing more, finishes what it has, and stays readable',
      access: 'superuser',
      answers: { 204: { description: 'The workspace is archived.' } },
      problems: [...SUBJECT_PROBLEMS, 'default_workspace'],
      parse: subjectOf,
      async execute(name) {
        if (!(await workspaces.archive(name))) throw workspaceNotFound()
        return { status: 204, body: '' }
      },
    }),
    route({
      ...ONE,
      path: '/v1/workspaces/:name/restore',
      method: 'POST',
      operationId: 'restoreWorkspace',
      summary: 'Makes an archived workspace accept callbacks again',
      access: 'superuser',
      answers: { 200: { ...SHOWN, description: 'The workspace, which is not archived.' } },
      problems: [...SUBJECT_PROBLEMS, 'unsupported_media_type'],
      parse(request) {
        const name = subjectOf(request)
        requireNoForm(request)
        return name
      },
      execute: async name => shown(await workspaces.restore(name)),
    }),
  ]

  /** The list of a caller that sees one workspace. A cursor leads past it. */
  async function own(name: string, { position }: PageRequest<string>): Promise<readonly Workspace[]> {
    const workspace = position ? undefined : await workspaces.find(name)
    return workspace ? [workspace] : []
  }
}

const ALL = { path: '/v1/workspaces', limits: 'reads' } as const
const ONE = { path: '/v1/workspaces/:name', limits: 'reads', params: Type.Object({ name: WorkspaceName }) } as const
const SHOWN = { schema: WorkspaceSchema, example: EXAMPLE_WORKSPACE } as const

const PAGING: Paging<string> = {
  list: 'workspaces',
  path: '/v1/workspaces',
  write: String,
  read: text => (WORKSPACE_NAME.test(text) ? text : undefined),
}

function shown(workspace: Workspace | undefined) {
  if (!workspace) throw workspaceNotFound()
  return jsonAnswer(200, JSON.stringify(workspaceBody(workspace)))
}
