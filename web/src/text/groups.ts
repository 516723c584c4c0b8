/** grouped puts values that have the same key together, keys in the order in which they come: Map.groupBy, which older browsers lack. */
export function grouped<K, V>(list: Iterable<V>, key: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>()
  for (const v of list) {
    const k = key(v)
    const group = groups.get(k)
    if (group) group.push(v)
    else groups.set(k, [v])
  }
  return groups
}
