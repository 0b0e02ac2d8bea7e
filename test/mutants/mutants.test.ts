import assert from 'node:assert/strict'
import { describeMutant, testsOf } from './mutants.ts'

describe('mutants', () => {
  it('are described by what they replace, wherever it stands', () => {
    const mutant = { location: { start: { line: 2, column: 5 }, end: { line: 3, column: 6 } }, replacement: 'a <= b' }
    assert.equal(describeMutant('first\nif (a <\n    b) c()', mutant), 'a < b → a <= b')
  })

  it('are looked for by the tests that import the file', () => {
    const tests = ['services/s/test/domain/a.test.ts', 'services/s/test/domain/b.test.ts', 'services/t/test/domain/a.test.ts']
    const read = (test: string): string => (test.includes('/a.') ? "import { A } from '../../domain/a.ts'" : '')
    assert.deepEqual(testsOf('services/s/domain/a.ts', tests, read), ['services/s/test/domain/a.test.ts'])
  })

  it('are looked for by the tests of the room where none imports the file', () => {
    const tests = ['services/s/test/domain/b.test.ts', 'services/s/test/workers/c.test.ts']
    assert.deepEqual(
      testsOf('services/s/domain/a.ts', tests, () => ''),
      ['services/s/test/domain/b.test.ts'],
    )
    assert.throws(() => testsOf('services/s/api/a.ts', tests, () => ''), /no test imports/)
  })
})
