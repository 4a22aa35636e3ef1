import { randomJoins } from './random-join.js'

randomJoins(1000)
