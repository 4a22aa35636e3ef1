declare const FEAST_NODE_VERSION: string | undefined

/** This package's version; the build puts it in. */
export const VERSION = typeof FEAST_NODE_VERSION === 'string' ? FEAST_NODE_VERSION : '0.0.0-source'

/** The Feast release whose files, tables and protocols this package speaks. */
export const FEAST_VERSION = '0.66.0'
