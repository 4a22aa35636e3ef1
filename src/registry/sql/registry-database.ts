/** A row by column name. Bytes are Buffers or Uint8Arrays; whole numbers may be text. */
export type Row = Readonly<Record<string, unknown>>

/** What a digest is taken of: columns of the rows of a table. */
export interface DigestSource {
  readonly table: string
  /** Of text or numbers. */
  readonly columns: readonly string[]
  /** Hashed, since they may be large. */
  readonly blobs: readonly string[]
  readonly where?: string
}

/** Statements of one transaction, one after another. */
export interface Transaction {
  /** `?` stands for a parameter. */
  query(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]>
  /** Those of the names that are tables here. */
  tables(names: readonly string[]): Promise<ReadonlySet<string>>
  /** The same text for the same rows, in whatever order; undefined when there is no row. */
  digest(sources: readonly DigestSource[]): Promise<string | undefined>
}

/** A database that keeps Feast's registry tables, and other programs write to as well. */
export interface RegistryDatabase {
  /** For people: without secrets. */
  readonly location: string
  /** The column type of bytes. */
  readonly bytesType: 'BLOB' | 'BYTEA'
  /** Other text after every change, for as long as this is open; undefined where that is not to be had cheaply. */
  stamp(): Promise<string | undefined>
  /** `run` sees one state, and writes nothing. It may be run again. */
  read<Result>(run: (transaction: Transaction) => Promise<Result>): Promise<Result>
  /**
   * Nobody else writes to `tables` from before `run` until what it did is committed, and done durably, as a whole.
   * `run` may be run again from the start.
   * @param changed those of the tables that `run` changes
   * @throws REGISTRY_LOCKED when somebody else does not stop writing
   */
  write<Result>(
    tables: readonly string[],
    changed: ReadonlySet<string>,
    run: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result>
  close(): Promise<void>
}
