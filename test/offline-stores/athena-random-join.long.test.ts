import { athenaRandomJoins } from './athena-random-join.js'

athenaRandomJoins(4000, true)
