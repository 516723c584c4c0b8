/** One line of a difference: kept, added or taken out, with its number on each side. */
export interface DiffLine {
  sign: ' ' | '+' | '-'
  text: string
  before?: number
  after?: number
}

// Beyond so many cells of the table a difference is told as all out, all in.
const maxCells = 4_000_000

/** difference compares two texts line by line; the fewest lines are told as changed. */
export function difference(before: string, after: string): DiffLine[] {
  const a = before === '' ? [] : before.replace(/\n$/, '').split('\n')
  const b = after === '' ? [] : after.replace(/\n$/, '').split('\n')
  let head = 0
  while (head < a.length && head < b.length && a[head] === b[head]) head++
  let tail = 0
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++
  const midA = a.slice(head, a.length - tail)
  const midB = b.slice(head, b.length - tail)
  const lines: DiffLine[] = []
  let i = 0
  let j = 0
  const keep = () => lines.push({ sign: ' ', text: a[i]!, before: ++i, after: ++j })
  const out = () => lines.push({ sign: '-', text: a[i]!, before: ++i })
  const into = () => lines.push({ sign: '+', text: b[j]!, after: ++j })
  for (let n = 0; n < head; n++) keep()
  const same = common(midA, midB)
  for (const [x, y] of [...same, [midA.length, midB.length] as const]) {
    while (i < head + x) out()
    while (j < head + y) into()
    if (x < midA.length) keep()
  }
  for (let n = 0; n < tail; n++) keep()
  return lines
}

// common gives the pairs of lines of a longest common subsequence.
function common(a: string[], b: string[]): [number, number][] {
  const width = b.length + 1
  if ((a.length + 1) * width > maxCells) return []
  const longest = new Uint32Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1]! + 1 : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!)
    }
  }
  const pairs: [number, number][] = []
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) pairs.push([i++, j++])
    else if (longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!) i++
    else j++
  }
  return pairs
}

/** folded takes long runs of kept lines out but for around lines beside what changed; null stands for a gap. */
export function folded(lines: DiffLine[], around = 3): (DiffLine | null)[] {
  const near = new Uint8Array(lines.length)
  for (const [i, l] of lines.entries()) {
    if (l.sign !== ' ') near.fill(1, Math.max(0, i - around), Math.min(lines.length, i + around + 1))
  }
  const shown: (DiffLine | null)[] = []
  for (const [i, l] of lines.entries()) {
    if (near[i]) shown.push(l)
    else if (shown.at(-1) !== null && near.includes(1)) shown.push(null)
  }
  return shown
}
