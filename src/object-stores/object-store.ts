/** Keeps whole objects as bytes, by URI, with compare-and-set. */
export interface ObjectStore {
  /** undefined when there is no such object. */
  read(uri: string): Promise<StoredObject | undefined>
  /** The version that `read` would give, cheaper where the store can. */
  version(uri: string): Promise<string | undefined>
  /**
   * All or nothing, durable when it returns.
   * @param ifVersion the version to replace; undefined = there must be no object yet
   * @returns the new version
   * @throws OBJECT_CONFLICT when the object is no longer at `ifVersion`, OBJECT_LOCKED
   */
  write(uri: string, bytes: Uint8Array, ifVersion: string | undefined): Promise<string>
  /** Missing is fine. */
  remove(uri: string): Promise<void>
}

export interface StoredObject {
  readonly bytes: Buffer
  /** Opaque: equal exactly where the contents are. */
  readonly version: string
}
