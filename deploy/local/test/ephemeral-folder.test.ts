import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEphemeralFolder } from '../ephemeral-folder.ts'

describe('openEphemeralFolder', () => {
  let parent: string
  let memory: string
  let disk: string
  let said: string[]

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'answerback-folder-'))
    ;[memory, disk] = [join(parent, 'memory'), join(parent, 'disk')]
    for (const folder of [memory, disk]) await mkdir(folder)
    said = []
  })

  afterEach(() => rm(parent, { recursive: true }))

  const say = (line: string): unknown => said.push(line)
  const open = (minFreeBytes = 1) => openEphemeralFolder(say, { memory, disk, minFreeBytes })

  it('is in memory if there is room, and its stop deletes it with all that is in it', async () => {
    const folder = await open()
    assert.equal(folder.isInMemory, true)
    assert.ok(folder.path.startsWith(memory) && folder.freeBytes > 0)
    await writeFile(join(folder.path, 'data'), 'x')
    await folder.stop?.()
    assert.deepEqual(await readdir(memory), [])
  })

  it('is on the disk if memory has too little room', async () => {
    const folder = await open(Number.MAX_SAFE_INTEGER)
    assert.deepEqual([folder.isInMemory, folder.path.startsWith(disk)], [false, true])
    await folder.stop?.()
  })

  it('is on the disk if there is no such memory', async () => {
    await rm(memory, { recursive: true })
    const folder = await open()
    assert.deepEqual([folder.isInMemory, folder.path.startsWith(disk)], [false, true])
    await folder.stop?.()
  })

  it('lets another process enter, but not write', async () => {
    const folder = await open()
    assert.equal((await stat(folder.path)).mode & 0o777, 0o755)
    await folder.stop?.()
  })

  it('deletes what a killed process left behind, says so, and leaves what is in use', async () => {
    const inUse = await open()
    const killed = await startAndKill()
    const folder = await open()
    assert.deepEqual(said, [`deleted ${killed}, which a killed run left behind`])
    assert.deepEqual((await readdir(memory)).toSorted(), [inUse.path, folder.path].map(path => path.slice(memory.length + 1)).toSorted())
    for (const one of [inUse, folder]) await one.stop?.()
  })

  it('leaves a folder that somebody is making right now, and deletes it when it is a minute old', async () => {
    const half = join(disk, 'answerback-ephemeral-half')
    await mkdir(half)
    await (await open()).stop?.()
    assert.deepEqual(said, [])
    const before = new Date(Date.now() - 61_000)
    await utimes(half, before, before)
    await (await open()).stop?.()
    assert.deepEqual(said, [`deleted ${half}, which a killed run left behind`])
  })

  it('leaves files, and folders with other names', async () => {
    await writeFile(join(disk, 'answerback-ephemeral-file'), '')
    await mkdir(join(disk, 'answerback-other'))
    await (await open()).stop?.()
    assert.deepEqual((await readdir(disk)).toSorted(), ['answerback-ephemeral-file', 'answerback-other'])
  })

  async function startAndKill(): Promise<string> {
    const code = `
      import { openEphemeralFolder } from ${JSON.stringify(new URL('../ephemeral-folder.ts', import.meta.url).href)}
      const { path } = await openEphemeralFolder(() => {}, ${JSON.stringify({ memory, disk, minFreeBytes: 1 })})
      console.log(path)`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [path] = (await once(child.stdout, 'data')) as [Buffer]
    child.kill('SIGKILL')
    await once(child, 'exit')
    return String(path).trim()
  }
})
