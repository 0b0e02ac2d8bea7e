import assert from 'node:assert/strict'
import { scanJson } from '../../../domain/accepting/json-scan.ts'

describe('scanJson', () => {
  for (const [what, text, elements] of [
    ['each element as it was written', '{"ids":[ 1.0 ,-2e3,"a,]"]}', ['1.0', '-2e3', '"a,]"']],
    ['elements that are arrays and objects whole', '{"ids":[[1,2],{"a":[3,4]},5]}', ['[1,2]', '{"a":[3,4]}', '5']],
    ['none of an empty array', '{"ids":[ ]}', []],
    ['none of an object', '{"ids":{"a":1,"b":2}}', []],
    ['none of a number', '{"ids":1,"x":2}', []],
    ['none of an array in another member', '{"x":[1,2],"ids":[3],"y":[4]}', ['3']],
    ['none of an array deeper inside', '{"x":{"ids":[1,2]},"ids":[3]}', ['3']],
    ['none of an array in an array', '[[1,2],"ids",[3]]', []],
  ] as const) {
    it(`gives ${what}`, () => assert.deepEqual(scanJson(text, 'ids').elements, elements))
  }
})
