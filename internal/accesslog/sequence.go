package accesslog

// window is how many numbers a sequence looks back for stragglers.
const window = 1024

// sequence follows one log counter of HAProxy and finds the numbers that never came. HAProxy
// numbers lines per process and frontend; its threads may send a little out of order, and two
// that log at the same instant take the same number, after which the next one is left out.
// So a number is lost once it is older than the window, or older than one settle, unless
// another one came twice.
type sequence struct {
	low    uint32 // everything before is settled
	high   uint32 // the highest number seen, plus one
	mark   uint32 // high at the last settle
	spare  uint64 // numbers that came twice, or after they had been counted as lost
	seen   [window / 64]uint64
	active bool // a line came since the last settle
}

// begin sets the number that the first line is expected to have.
func (s *sequence) begin(n uint32) { s.low, s.high, s.mark = n, n, n }

// note takes the number of a line that came and returns how many are now known to be lost.
// Numbers are compared by their distance, so that the counter may wrap.
func (s *sequence) note(n uint32) (lost uint64) {
	s.active = true
	if int32(n-s.high) >= 0 {
		if n-s.low >= window {
			lost = s.settleTo(n + 1 - window)
		}
		s.high = n + 1
		s.seen[n%window/64] |= 1 << (n % 64)
		return lost
	}
	bit := uint64(1) << (n % 64)
	word := &s.seen[n%window/64]
	if int32(n-s.low) < 0 || *word&bit != 0 {
		s.spare++
		return 0
	}
	*word |= bit
	return 0
}

// settle is called from time to time and gives up on numbers that were missing already the
// time before; it returns how many are now known to be lost.
func (s *sequence) settle() (lost uint64) {
	s.active = false
	if int32(s.mark-s.low) > 0 {
		lost = s.settleTo(s.mark)
	}
	s.mark = s.high
	return lost
}

// settleTo moves low to n, forgets what was seen before it, and returns the losses.
func (s *sequence) settleTo(n uint32) uint64 {
	var missing uint64
	for s.low != n && s.low != s.high {
		word, bit := &s.seen[s.low%window/64], uint64(1)<<(s.low%64)
		if *word&bit == 0 {
			missing++
		}
		*word &^= bit
		s.low++
	}
	missing += uint64(n - s.low) // never seen, nor anything after it, before this jump
	s.low = n
	used := min(missing, s.spare)
	s.spare -= used
	return missing - used
}
