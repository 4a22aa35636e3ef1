import { redisWriters } from './redis-writers.js'

redisWriters(1)
