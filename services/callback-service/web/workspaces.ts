interface WorkspacePage {
  readonly items: readonly { readonly id: string }[]
  readonly next?: string
}

/** Returns the workspace that a key leads to; `default` for superusers and where nobody needs a key. */
export function workspaceOfKey(key: string): string {
  return /^ab_(.+)_[A-Za-z0-9_-]{43}$/.exec(key)?.[1] ?? 'default'
}

/**
 * Lists the workspaces that the caller may choose from.
 * @param read asks the service for a page
 * @throws {Error} the service cannot say it now
 */
export async function workspaceNames(read: (path: string) => Promise<WorkspacePage>, key: string): Promise<readonly string[]> {
  const names: string[] = []
  let path: string | undefined = 'v1/workspaces?limit=1000'
  try {
    while (path !== undefined) {
      const { items, next }: WorkspacePage = await read(path)
      names.push(...items.map(({ id }) => id))
      path = next
    }
    return names
  } catch (error) {
    // Only superusers see all workspaces. A key has its own.
    if ((error as { status?: number }).status === 404) return [workspaceOfKey(key)]
    throw error
  }
}
