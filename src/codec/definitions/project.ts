import { type Project, project } from '../../core/project.js'
import type { Project as Message, ProjectSpec } from '../messages.generated.js'

export function encodeProject({ name, description, tags, owner }: Project): ProjectSpec {
  return { name, description, tags: new Map(Object.entries(tags)), owner }
}

export function decodeProject({ spec = {} }: Message): Project {
  return project({
    name: spec.name ?? '',
    description: spec.description ?? '',
    tags: Object.fromEntries(spec.tags ?? []),
    owner: spec.owner ?? '',
  })
}
