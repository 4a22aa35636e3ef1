import { athenaRandomJoins } from './athena-random-join.js'

athenaRandomJoins(200, false)
