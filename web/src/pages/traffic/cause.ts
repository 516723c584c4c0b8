/**
 * causeOf says who ended a request before its time, by HAProxy's letters for it: what ended it, and what it waited for. It
 * is empty when all went well. The agents count by the same rules.
 */
export function causeOf(termination: string): '' | 'client' | 'server' | 'Weir' {
  const [what = '-', state = '-'] = termination
  if ('Cc'.includes(what)) return 'client'
  if ('SsD'.includes(what)) return 'server'
  if (what === 'P') return 'RTD'.includes(state) ? 'client' : state === 'H' ? 'server' : 'Weir'
  return 'RIKU'.includes(what) ? 'Weir' : ''
}

/** endingOf says who ended a request before its time, why as far as that is known, and HAProxy's letters to search for. */
export function endingOf(termination = '', why = ''): string {
  const who = causeOf(termination)
  return who && `ended by ${who === 'Weir' ? who : 'the ' + who}${why && ': ' + why} (${termination})`
}
