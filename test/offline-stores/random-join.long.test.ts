import { randomJoins } from './random-join.js'

randomJoins(20_000)
