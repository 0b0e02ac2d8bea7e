import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MUTANTS } from './mutants.ts'
import { placeOf, planted } from './plant.ts'
import { ROOT } from './system.ts'

describe('the mutants of chaos', () => {
  for (const mutant of MUTANTS) {
    it(`can be planted: ${mutant.name}`, async () => {
      for (const change of mutant.changes) {
        const source = await readFile(join(ROOT, placeOf(change)), 'utf8')
        assert.notEqual(planted(source, change), source)
      }
    })
  }

  it('are refused if the text is missing, or occurs twice', () => {
    const planting = { file: 'a.ts', text: 'yes', instead: 'no' }
    assert.equal(planted('say yes', planting), 'say no')
    assert.throws(() => planted('say nothing', planting), /occurs 0 times in a\.ts/)
    assert.throws(() => planted('yes yes', planting), /occurs 2 times/)
  })
})
