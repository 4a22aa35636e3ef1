import { createHash } from 'node:crypto'
import type { ModelManifest } from '../../src/models/model-manifest.js'
import type { Author } from '../../src/models/registry/model-registry.js'

/** A manifest for a file that is not looked into: the registry keeps bytes. */
export function manifestOf(name: string, artifact: Buffer, more: Partial<ModelManifest> = {}): ModelManifest {
  return {
    name,
    artifact: {
      sha256: createHash('sha256').update(artifact).digest('hex'),
      bytes: artifact.length,
      opset: { '': 17 },
    },
    framework: 'sklearn',
    featureService: undefined,
    registryVersion: undefined,
    inputs: [],
    outputs: [],
    metrics: {},
    params: {},
    examples: [],
    run: undefined,
    description: '',
    tags: {},
    createdBy: 'maker',
    createdAt: '2026-11-30T00:00:00Z',
    ...more,
  }
}

export function author(name: string, ...groups: string[]): Author {
  return { name, groups, requestId: '' }
}
