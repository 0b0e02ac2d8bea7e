import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Runs a program of this folder in a separate process until it ends, with its settings as JSON. @returns its output, parsed as JSON */
export async function runChild<Settings, Report>(file: string, settings: Settings): Promise<Report> {
  const path = new URL(file, import.meta.url).pathname
  const { stdout } = await promisify(execFile)(process.execPath, [path, JSON.stringify(settings)], { maxBuffer: 2 ** 26 })
  return JSON.parse(stdout) as Report
}
