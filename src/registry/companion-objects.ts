import type { ObjectStore } from '../object-stores/object-store.js'

/**
 * Small objects that lie with a registry, where Feast does not look, by names such as `leases/demo/trips.json`:
 * who is at work on what, and how far. As objects of an {@link ObjectStore}, a name taking the place of the URI.
 */
export type CompanionObjects = Pick<ObjectStore, 'read' | 'write' | 'remove' | 'list'>

/** The objects whose URIs start with `prefix`, named by what follows it. */
export function objectsBelow(objects: ObjectStore, prefix: string): CompanionObjects {
  return {
    read: (name) => objects.read(prefix + name),
    write: (name, bytes, ifVersion) => objects.write(prefix + name, bytes, ifVersion),
    remove: (name, ifVersion) => objects.remove(prefix + name, ifVersion),
    async *list(start) {
      for await (const object of objects.list(prefix + start)) {
        yield { ...object, uri: object.uri.slice(prefix.length) }
      }
    },
  }
}
