// What time it is for the control plane. The clock of the machine that the browser runs on may be off by anything, and an
// end that is reckoned by it would be off by as much.

// How much of a difference, in milliseconds, may be the way of the answer and the whole seconds of its date.
const slack = 5000

let ahead = 0

/** heard takes the date of an answer, null when it had none. */
export function heard(date: string | null): void {
  const at = Date.parse(date ?? '')
  if (Number.isNaN(at)) return
  const off = at - Date.now()
  ahead = Math.abs(off) <= slack ? 0 : off
}

/** now is the time in milliseconds, as the control plane has it. */
export function now(): number {
  return Date.now() + ahead
}
