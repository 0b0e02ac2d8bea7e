import type { Response } from 'express'

/** JSON.rawJSON (ECMAScript 2026), which TypeScript does not know yet. */
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown }

/** JSON with ids as numbers, exact: a bigint is written digit by digit. Costs several times JSON.stringify, which does for what holds no ids. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_key, member) => (typeof member === 'bigint' ? rawJSON(String(member)) : member))
}

export function sendJson(response: Response, status: number, body: string): void {
  response.statusCode = status
  response.setHeader('Content-Type', 'application/json; charset=utf-8')
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(body)
}
