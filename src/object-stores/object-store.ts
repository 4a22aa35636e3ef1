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
  /**
   * Missing is fine.
   * @param ifVersion nothing is removed but this; S3 looks at it right before, as it cannot do both in one
   * @throws OBJECT_CONFLICT when the object is at another version, OBJECT_LOCKED
   */
  remove(uri: string, ifVersion?: string): Promise<void>
  /** All objects whose URI starts with `prefix`, in the order of their URIs; none when there are none. */
  list(prefix: string): AsyncIterable<ListedObject>
  /** Copies an object to a local file, in bounded memory. @throws OBJECT_NOT_FOUND */
  download(uri: string, path: string, signal?: AbortSignal): Promise<void>
  /** Copies a local file to an object, in bounded memory, replacing what was there. All or nothing. */
  upload(path: string, uri: string, signal?: AbortSignal): Promise<void>
  /** Removes all objects below a prefix that ends in `/`; missing is fine. */
  removeAll(prefix: string): Promise<void>
  close(): Promise<void>
}

export interface ListedObject {
  readonly uri: string
  readonly bytes: number
  /** Milliseconds since 1970. */
  readonly modifiedAt: number
}

export interface StoredObject {
  readonly bytes: Buffer
  /** Opaque: equal exactly where the contents are. */
  readonly version: string
}
