import { describe, expect, it } from '@jest/globals'
import { codeOf, replyError } from '../../src/online-stores/redis/redis-failure.js'
import {
  ErrorReply,
  encodeBulk,
  encodeCommand,
  type Reply,
  ReplyParser,
  RowReply,
} from '../../src/online-stores/redis/resp.js'
import { type Random, seededRandom } from '../compat/random.js'
import { cellsOf } from './read-cells.js'

function randomReply(random: Random, depth = 0): Reply {
  const kind = random.int(0, depth < 3 ? 6 : 4)
  if (kind === 0) return null
  if (kind === 1) return random.int(-1_000_000_000, 1_000_000_000)
  if (kind === 2) return new ErrorReply(random.pick(['ERR no', 'MOVED 12 127.0.0.1:7000', 'OOM full']))
  if (kind < 5) {
    const length = random.pick([0, 1, 5, 100, 3000, 70_000])
    return Buffer.alloc(length, Buffer.from(random.times(7, () => random.pick([13, 10, 36, 42, 0, 255]))))
  }
  return random.times(random.int(0, 6), () => randomReply(random, depth + 1))
}

function bytesOf(reply: Reply, random: Random): Buffer {
  if (reply === null) return Buffer.from(random.chance(0.5) ? '$-1\r\n' : '*-1\r\n')
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`)
  if (reply instanceof ErrorReply) return Buffer.from(`-${reply.message}\r\n`)
  if (Buffer.isBuffer(reply)) return encodeBulk(reply)
  if (reply instanceof RowReply) throw new Error('none is made here')
  return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map((one) => bytesOf(one, random))])
}

/** Behind the chunk before it in memory, or anywhere. */
function chunkOf(bytes: Buffer, start: number, end: number, random: Random): Buffer {
  const chunk = bytes.subarray(start, end)
  return random.chance(0.5) ? chunk : Buffer.from(chunk)
}

/** Comparable at once, unlike buffers one by one. */
function shown(reply: Reply): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString('latin1')
  return Array.isArray(reply) ? reply.map(shown) : reply
}

describe('RESP', () => {
  it('is read alike however it is cut', () => {
    const random = seededRandom('RESP')
    for (let round = 0; round < 100; round++) {
      const replies = random.times(random.int(1, 8), () => randomReply(random))
      const bytes = Buffer.concat(replies.map((reply) => bytesOf(reply, random)))
      const found: Reply[] = []
      const parser = new ReplyParser((reply) => void found.push(reply))
      const step = random.pick([1, 2, 7, 1000, 65_536, bytes.length])
      if (step < 7 && bytes.length > 20_000) continue
      for (let at = 0; at < bytes.length; ) {
        const next = Math.min(bytes.length, at + random.int(1, step))
        parser.push(chunkOf(bytes, at, next, random))
        at = next
      }
      expect(found.map(shown)).toEqual(replies.map(shown))
    }
  })

  it('rows are read alike however they are cut, also beside other replies', () => {
    const random = seededRandom('RESP rows')
    for (let round = 0; round < 60; round++) {
      const width = random.pick([1, 2, 7, 60])
      const cell = () =>
        random.chance(0.2)
          ? null
          : Buffer.alloc(random.pick([0, 1, 9, 10, 99, 2000]), random.pick(['$', '\r\n']))
      const replies: Reply[] = random.times(random.int(1, 30), () =>
        random.chance(0.1)
          ? random.pick<Reply>([null, 7, new ErrorReply('ERR no'), [Buffer.from('x')], [7, null]])
          : random.times(width, cell),
      )
      const bytes = Buffer.concat(replies.map((reply) => bytesOf(reply, random)))
      const found: unknown[] = []
      const wanted = (reply: Reply) =>
        Array.isArray(reply) && reply.length === width && reply.every((one) => typeof one !== 'number')
      const parser = new ReplyParser(
        (reply) => {
          expect(reply instanceof RowReply).toBe(wanted(replies[found.length]!))
          found.push(shown(reply instanceof RowReply ? cellsOf(reply, width) : reply))
        },
        () => width,
      )
      const step = random.pick([1, 20, 1000, bytes.length])
      for (let at = 0; at < bytes.length; ) {
        const next = Math.min(bytes.length, at + random.int(1, step))
        parser.push(chunkOf(bytes, at, next, random))
        at = next
      }
      expect(found).toEqual(replies.map(shown))
    }
  })

  it.each(['*1\r\n$x\r\n', '*1\r\n$1x\r\na\r\n'])('refuses the row %j', (text) => {
    const parser = new ReplyParser(
      () => {},
      () => 1,
    )
    expect(() => parser.push(Buffer.from(text))).toThrow(/byte/)
  })

  it('never takes a text that was cut short for one that goes on with the next', () => {
    for (const cut of ['$5\r\nhe\r\n*1\r\n$5\r\nworld\r\n', '*1\r\n$5\r\nhe\r\n*1\r\n$5\r\nworld\r\n']) {
      const found: unknown[] = []
      const parser = new ReplyParser(
        (reply) => void found.push(reply),
        () => 1,
      )
      expect(() => parser.push(Buffer.from(cut))).toThrow(/where a text should end/)
      expect(found).toEqual([])
    }
  })

  it.each(['hello\r\n', '$x\r\n', '*1\r\nHTTP/1.1 400\r\n', ':1x\r\n'])('refuses %j', (text) => {
    const parser = new ReplyParser(() => {})
    expect(() => parser.push(Buffer.from(text))).toThrow(/byte/)
  })

  it('does not gather a line without end', () => {
    const parser = new ReplyParser(() => {})
    expect(() => {
      for (let i = 0; i < 100; i++) parser.push(Buffer.from(i === 0 ? '+' : 'x'.repeat(50_000)))
    }).toThrow(/line without end/)
  })

  it('writes commands as Redis reads them', () => {
    expect(encodeCommand(['SET', Buffer.from([0, 255]), 12]).toString('latin1')).toBe(
      '*3\r\n$3\r\nSET\r\n$2\r\n\0\xff\r\n$2\r\n12\r\n',
    )
  })
})

describe('errors of Redis', () => {
  it.each([
    ["OOM command not allowed when used memory > 'maxmemory'. script: 0, on @user_script:60.", 'OOM'],
    [
      "ERR Error running script (call to f_1): @user_script:60: @user_script: 60: -OOM command not allowed when used memory > 'maxmemory'.",
      'OOM',
    ],
    [
      "ERR Error running script (call to f_1): @user_script:60: -READONLY You can't write against a read only replica.",
      'READONLY',
    ],
    ['LOADING Redis is loading the dataset in memory', 'LOADING'],
    ['ERR max number of clients reached', 'BUSY'],
    ['ERR unknown command', 'ERR'],
    ['NOAUTH Authentication required.', 'NOAUTH'],
  ])('%s', (message, code) => {
    expect(codeOf(new ErrorReply(message))).toBe(code)
  })

  it.each([
    ['LOADING Redis is loading the dataset in memory', 'ONLINE_STORE_UNAVAILABLE', /still loading/],
    ['CLUSTERDOWN The cluster is down', 'ONLINE_STORE_UNAVAILABLE', /cluster is down/],
    ['MASTERDOWN Link with MASTER is down', 'ONLINE_STORE_UNAVAILABLE', /Link with MASTER/],
    [
      "READONLY You can't write against a read only replica.",
      'ONLINE_STORE_UNAVAILABLE',
      /replica, not the master/,
    ],
    ['OOM command not allowed', 'ONLINE_STORE_FAILED', /raise its maxmemory/],
    ['NOPERM this user has no permissions', 'ONLINE_STORE_FAILED', /Grant its user/],
    ['WRONGTYPE Operation against a key', 'ONLINE_STORE_FAILED', /database of its own/],
    ['MISCONF Redis is configured to save RDB snapshots', 'ONLINE_STORE_FAILED', /cannot save/],
    ['ERR something new', 'ONLINE_STORE_FAILED', /something new/],
  ])('%s', (message, code, words) => {
    const error = replyError('redis.internal:6379', new ErrorReply(message))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(words)
    expect(error.message).toContain('Redis at redis.internal:6379')
  })
})
