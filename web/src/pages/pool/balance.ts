/** The ways by which the next server is chosen, in plain words; some go by what only HTTP has. */
export const ways: { value: string; name: string; hint: string; http?: boolean }[] = [
  { value: 'leastconn', name: 'Fewest connections', hint: 'whoever has the least to do; good where answers take different times' },
  { value: 'roundrobin', name: 'In turn', hint: 'one after the other, by weight; good where all answers are alike' },
  { value: 'random', name: 'Random', hint: 'good with very many servers or load balancers' },
  { value: 'source', name: 'By client', hint: 'the same client address comes to the same server' },
  { value: 'uri', name: 'By path', hint: 'the same path comes to the same server; good for caches', http: true },
  { value: 'header', name: 'By a header', hint: 'requests with the same value of a header come to the same server', http: true },
]

/** wayOf names one as the form does; what it does not know stays as it is. */
export const wayOf = (balance = ''): string => ways.find((w) => w.value === balance)?.name.toLowerCase() ?? balance
