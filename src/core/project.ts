/** Describes the project; its name must be the one in feature_store.yaml. */
export interface Project {
  readonly kind: 'project'
  readonly name: string
  readonly description: string
  readonly tags: Readonly<Record<string, string>>
  readonly owner: string
}

export function project(options: {
  readonly name: string
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly owner?: string
}): Project {
  return Object.freeze({
    kind: 'project',
    name: options.name,
    description: options.description ?? '',
    tags: Object.freeze({ ...options.tags }),
    owner: options.owner ?? '',
  })
}
