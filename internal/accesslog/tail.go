package accesslog

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// The bounds of what waits for the reader of a Tail, in bytes, and of how many lines it is given each second; for a moment
// it may be twice as many.
const (
	tailBytes = 512 << 10
	tailRate  = 200
)

// errClosed ends the reading of a Tail.
var errClosed = errors.New("follow the log: it is closed")

// Numbered is an entry with its number among all lines that the receiver has taken in, the first being 1.
type Numbered struct {
	Number uint64
	Entry
}

// Tail follows the lines that a filter takes. What comes faster than its bounds is left out and counted. One goroutine
// reads it.
type Tail struct {
	from   *Receiver
	filter Filter
	wake   chan struct{}
	line   Line   // of the reader
	start  uint64 // the number of the last line of before

	// Guarded by the receiver's mutex.
	waiting []byte // lines, each with its number in eight bytes and its length in four before it
	left    int
	tokens  float64
	filled  time.Time
	closed  bool
}

// Tail begins to follow the log, and gives the last lines that the filter takes of those with a number above after:
// at most n, oldest first, and how many more there were. Close must be called.
func (r *Receiver) Tail(f Filter, n int, after uint64) (t *Tail, recent []Numbered, left int) {
	t = &Tail{from: r, filter: f, wake: make(chan struct{}, 1), tokens: 2 * tailRate, filled: time.Now()}
	r.mu.Lock()
	content, last := r.recent.copy(), r.taken
	t.start = last
	r.tails = append(r.tails, t)
	r.mu.Unlock()
	recent, left = choose(content, last, &f, n, after)
	return t, recent, left
}

// Start is the number of the last line that came before the following began, 0 for none.
func (t *Tail) Start() uint64 { return t.start }

// offer notes a line for the reader; the receiver's mutex is held, and nothing here waits.
func (t *Tail) offer(l *Line, text []byte, number uint64) {
	if !t.filter.takes(l) {
		return
	}
	now := time.Now()
	t.tokens = min(2*tailRate, t.tokens+now.Sub(t.filled).Seconds()*tailRate)
	t.filled = now
	if t.tokens < 1 || len(t.waiting)+len(text)+12 > tailBytes {
		t.left++
	} else {
		t.tokens--
		t.waiting = binary.LittleEndian.AppendUint64(t.waiting, number)
		t.waiting = binary.LittleEndian.AppendUint32(t.waiting, uint32(len(text)))
		t.waiting = append(t.waiting, text...)
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Next waits for lines, and gives them with the number of those that were left out.
func (t *Tail) Next(ctx context.Context) (list []Numbered, left int, err error) {
	for {
		t.from.mu.Lock()
		content, closed := t.waiting, t.closed
		left, t.left, t.waiting = t.left, 0, nil
		t.from.mu.Unlock()
		for len(content) > 0 {
			number := binary.LittleEndian.Uint64(content)
			var text []byte
			text, content = split(content[8:])
			if _, err := t.line.parse(text); err == nil {
				list = append(list, Numbered{number, t.filter.entry(&t.line)})
			}
		}
		switch {
		case len(list) > 0 || left > 0:
			return list, left, nil
		case closed:
			return nil, 0, errClosed
		}
		select {
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		case <-t.wake:
		}
	}
}

// Close ends the following.
func (t *Tail) Close() {
	r := t.from
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, other := range r.tails {
		if other == t {
			r.tails = append(r.tails[:i:i], r.tails[i+1:]...)
			break
		}
	}
}

// endTails lets those who follow know that nothing more will come.
func (r *Receiver) endTails() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tails {
		t.closed = true
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// choose reads a ring's content, whose last line has the number given, and gives the last n that the filter takes of those
// above after, oldest first, and how many more there were.
func choose(content []byte, last uint64, f *Filter, n int, after uint64) (list []Numbered, left int) {
	type one struct {
		number uint64
		text   []byte
	}
	var (
		l      Line
		chosen []one
		text   []byte
	)
	number := last
	for rest := content; len(rest) > 0; number-- {
		_, rest = split(rest)
	}
	for len(content) > 0 {
		number++
		if text, content = split(content); number <= after {
			continue
		}
		if _, err := l.parse(text); err == nil && f.takes(&l) {
			chosen = append(chosen, one{number, text})
		}
	}
	left = max(0, len(chosen)-max(0, n))
	list = make([]Numbered, 0, len(chosen)-left)
	for _, c := range chosen[left:] {
		_, _ = l.parse(c.text) // was read a moment ago
		list = append(list, Numbered{c.number, f.entry(&l)})
	}
	return list, left
}
