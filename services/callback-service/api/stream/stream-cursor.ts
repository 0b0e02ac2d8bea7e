import { createHash } from 'node:crypto'
import type { StreamPosition } from '../../domain/streaming/changed-callback.ts'

/** Makes the cursor of a position. It is opaque but not secret. Its checksum reveals a changed one, and one of another workspace. */
export function writeCursor(workspace: string, { atUs, clockStep }: StreamPosition): string {
  const text = `${atUs} ${clockStep}`
  return Buffer.from(`${sumOf(workspace, text)} ${text}`).toString('base64url')
}

/** @returns undefined if the text is no cursor of this workspace */
export function readCursor(workspace: string, cursor: string): StreamPosition | undefined {
  const [, atUs, clockStep] = /^\S+ (\d{1,16}) (\d{1,9})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (atUs === undefined || clockStep === undefined) return undefined
  const position = { atUs: Number(atUs), clockStep: Number(clockStep) }
  return writeCursor(workspace, position) === cursor ? position : undefined
}

function sumOf(workspace: string, text: string): string {
  return createHash('sha256').update(`stream\n${workspace}\n${text}`).digest('base64url').slice(0, 8)
}
