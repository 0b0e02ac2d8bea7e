import assert from 'node:assert/strict'
import { describeMutant, testsOf } from './mutants.ts'

describe('mutants', () => {
  it('are described by the lines that they change, wherever those stand', () => {
    const mutant = { location: { start: { line: 2, column: 5 }, end: { line: 3, column: 6 } }, replacement: 'a <= b' }
    assert.equal(describeMutant('first\nif (a <\n    b) c()', mutant), 'if (a < b) c() → if (a <= b) c()')
  })

  describe('are looked for by', () => {
    const files = ['services/s/domain/a.ts', 'services/s/domain/b.ts', 'services/s/test/c.test.ts', 'services/t/test/d.test.ts']
    const importing = (imports: Record<string, string>) => (file: string) => `import { A } from '${imports[file]}'`

    it('the tests that import the file', () => {
      const read = importing({ 'services/s/test/c.test.ts': '../domain/a.ts', 'services/t/test/d.test.ts': '../domain/a.ts' })
      assert.deepEqual(testsOf('services/s/domain/a.ts', files, read), ['services/s/test/c.test.ts'])
    })

    it('the tests that import it by another file, where none imports it', () => {
      const read = importing({ 'services/s/domain/b.ts': './a.ts', 'services/s/test/c.test.ts': '../domain/b.ts' })
      assert.deepEqual(testsOf('services/s/domain/a.ts', files, read), ['services/s/test/c.test.ts'])
    })

    it('nobody, and that is an error, where no test comes near it', () => {
      assert.throws(() => testsOf('services/s/domain/a.ts', files, importing({ 'services/s/domain/a.ts': './a.ts' })), /no test imports/)
    })
  })
})
