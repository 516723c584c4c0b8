// Numbers, times and sentences as people read them.

/** rate writes a number per second short enough for a column: 0, 0.4, 12, 1,420, 14.2 k, 1.4 M. */
export function rate(n: number | null | undefined): string {
  if (n === null || n === undefined || !Number.isFinite(n)) return '–'
  if (n === 0) return '0'
  if (n < 0.05) return '<0.1'
  if (n < 10) return trim(n.toFixed(1))
  if (n < 10_000) return Math.round(n).toLocaleString('en')
  if (n < 1_000_000) return trim((n / 1000).toFixed(1)) + ' k'
  return trim((n / 1_000_000).toFixed(1)) + ' M'
}

/** count writes a whole number. */
export function count(n: number | null | undefined): string {
  return n === null || n === undefined ? '–' : Math.round(n).toLocaleString('en')
}

/** percent writes a share of 0 to 1; what is not nothing never reads as 0 %, what is not all never as 100 %. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return '–'
  const n = share * 100
  if (n === 0) return '0 %'
  if (n < 0.1) return '<0.1 %'
  if (n < 10) return trim(n.toFixed(1)) + ' %'
  if (n < 100 && n > 99) return '>99 %'
  return Math.round(n) + ' %'
}

/** millis writes a duration given in milliseconds: 3 ms, 420 ms, 1.2 s, 3 min. */
export function millis(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–'
  if (ms < 1000) return Math.round(ms) + ' ms'
  if (ms < 60_000) return trim((ms / 1000).toFixed(1)) + ' s'
  return Math.round(ms / 60_000) + ' min'
}

/** bytes writes a size: 512 B, 1.4 KB, 22 MB. */
export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined || !Number.isFinite(n)) return '–'
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']
  let i = 0
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000
    i++
  }
  return (i === 0 || n >= 100 ? Math.round(n) : trim(n.toFixed(1))) + ' ' + units[i]
}

function trim(s: string): string {
  return s.replace(/\.0$/, '')
}

const second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour

/** span writes a length of time in its largest unit, or two: 40 s, 12 min, 3 h 20 min, 5 days. */
export function span(ms: number): string {
  ms = Math.abs(ms)
  if (ms < minute) return Math.round(ms / second) + ' s'
  if (ms < hour) return Math.floor(ms / minute) + ' min'
  if (ms < day) {
    const m = Math.floor((ms % hour) / minute)
    return Math.floor(ms / hour) + ' h' + (m ? ` ${m} min` : '')
  }
  const days = Math.floor(ms / day)
  return days === 1 ? '1 day' : days + ' days'
}

/** ago says how long ago an instant was, or how far ahead it is. */
export function ago(at: Date, now: number): string {
  const ms = now - at.getTime()
  if (Math.abs(ms) < 2 * second) return 'now'
  return ms >= 0 ? span(ms) + ' ago' : 'in ' + span(ms)
}

/** local writes an instant in the viewer's zone, utc in UTC. */
export function local(at: Date): string {
  return at.toLocaleString(undefined, { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
}
export function utc(at: Date): string {
  return at.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC')
}

/** clock writes the time of day with milliseconds, in the viewer's zone. */
export function clock(at: Date): string {
  return at.toTimeString().slice(0, 8) + '.' + String(at.getMilliseconds()).padStart(3, '0')
}

/** tick writes an instant as short as the distance to the next one allows: 14:05, 14:05:30, 3 Dec. */
export function tick(at: Date, step: number): string {
  if (step >= day) return at.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })
  const text = at.toTimeString()
  return step < minute ? text.slice(0, 8) : at.getHours() === 0 && at.getMinutes() === 0 ? at.toLocaleDateString(undefined, { day: 'numeric', month: 'short' }) : text.slice(0, 5)
}

/** many writes a number with its noun: 1 server, 12 servers. */
export function many(n: number, one: string, more = one + 's'): string {
  return count(n) + ' ' + (n === 1 ? one : more)
}

/** some writes at most n names and how many are left out. */
export function some(names: string[], n = 3): string {
  return names.length <= n ? names.join(', ') : names.slice(0, n).join(', ') + ` and ${names.length - n} more`
}
