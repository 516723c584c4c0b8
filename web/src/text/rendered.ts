/** A run of lines of a file that is about something. */
export interface Piece {
  file: string
  /** line is the number of the first one. */
  line: number
  text: string
}

/**
 * piecesOf finds what of a load balancer's files names any of some words: of haproxy.cfg whole sections whose name it
 * is, and single lines; of Maps and lists their lines. It finds what is written, and not what only works for it.
 */
export function piecesOf(files: Record<string, string>, words: string[]): Piece[] {
  const found: Piece[] = []
  // A name is followed by four letters and digits where Weir tells things of the same name apart.
  const named = words.filter(Boolean).map((w) => new RegExp(`(?<![A-Za-z0-9_.-])${w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?:\\.[a-z0-9]{4})?(?![A-Za-z0-9_-]|\\.[A-Za-z0-9])`))
  if (named.length === 0) return found
  const about = (text: string) => named.some((n) => n.test(text))
  for (const [file, text] of Object.entries(files).sort(([a], [b]) => Number(b === 'haproxy.cfg') - Number(a === 'haproxy.cfg') || a.localeCompare(b))) {
    const lines = text.split('\n')
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!
      const start = i
      if (/^(backend|frontend|listen) /.test(line) && about(line)) {
        while (i + 1 < lines.length && /^\s+\S/.test(lines[i + 1]!)) i++
      } else if (!line.trim().startsWith('#') && about(line)) {
        while (i + 1 < lines.length && /^\s|^[^\s]/.test(lines[i + 1]!) && !/^(backend|frontend|listen) /.test(lines[i + 1]!) && about(lines[i + 1]!)) i++
      } else continue
      found.push({ file, line: start + 1, text: lines.slice(start, i + 1).join('\n') })
    }
  }
  return found
}
