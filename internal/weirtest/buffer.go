package weirtest

import (
	"bytes"
	"sync"
)

// Buffer keeps what is written to it, such as a log, and may be read meanwhile.
type Buffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	limit int // only the last so many bytes are kept; 0 is all
}

// Write keeps a copy of b; it never fails.
func (w *Buffer) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(b)
	if over := w.buf.Len() - w.limit; w.limit > 0 && over > 0 {
		w.buf.Next(over)
	}
	return len(b), nil
}

// String gives what has been written so far.
func (w *Buffer) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
