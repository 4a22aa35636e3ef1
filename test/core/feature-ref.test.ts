import { outputName, parseFeatureRef } from '../../src/core/feature-ref.js'

describe('parseFeatureRef', () => {
  it.each([
    ['v:f', { view: 'v', feature: 'f', versionTag: '' }],
    ['v:f:g', { view: 'v', feature: 'f:g', versionTag: '' }],
    ['v@v2:f', { view: 'v', feature: 'f', versionTag: 'v2' }],
    ['v@V02:f', { view: 'v', feature: 'f', versionTag: 'v2' }],
    ['v@latest:f', { view: 'v', feature: 'f', versionTag: '' }],
    ['v@LATEST:f', { view: 'v', feature: 'f', versionTag: '' }],
    ['v@:f', { view: 'v', feature: 'f', versionTag: '' }],
    ['v@foo:f', { view: 'v@foo', feature: 'f', versionTag: '' }],
  ])('%s', (ref, expected) => {
    expect(parseFeatureRef(ref)).toEqual(expected)
  })

  it.each(['', 'v', ':f', 'v:'])('refuses %j', (ref) => {
    expect(() => parseFeatureRef(ref)).toThrow('is not a feature reference; write it as "view:feature"')
  })

  it('names columns short or full', () => {
    expect(outputName('v', 'f', false)).toBe('f')
    expect(outputName('v', 'f', true)).toBe('v__f')
  })
})
