import { athenaRandomJoins } from './athena-random-join.js'

// One shape of many: the long run takes others each time.
athenaRandomJoins(40, false, 214_059)
