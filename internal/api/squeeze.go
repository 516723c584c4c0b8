package api

import (
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
)

// squeezeFrom is from how many bytes on an answer is compressed: less fits a packet.
const squeezeFrom = 1400

var gzips = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // it is a level
	return w
}}

// takesGzip says whether a client takes answers that are compressed.
func takesGzip(r *http.Request) bool {
	for _, value := range r.Header.Values("Accept-Encoding") {
		for one := range strings.SplitSeq(value, ",") {
			name, rest, _ := strings.Cut(one, ";")
			quality := strings.TrimPrefix(strings.ReplaceAll(rest, " ", ""), "q=")
			never := quality != "" && strings.Trim(quality, "0.") == ""
			if strings.EqualFold(strings.TrimSpace(name), "gzip") && !never {
				return true
			}
		}
	}
	return false
}

// holds says whether an answer is to be held until it is known to be long enough to be worth compressing.
func (w *recorder) holds(status int) bool {
	head := w.Header()
	whole := status == http.StatusOK || status == http.StatusCreated
	return w.gzip && whole && head.Get("Content-Encoding") == "" && (strings.HasPrefix(head.Get("Content-Type"), "application/json") || strings.HasPrefix(head.Get("Content-Type"), "application/vnd.oai"))
}

// squeeze takes a part of an answer that is held or compressed.
func (w *recorder) squeeze(p []byte) (int, error) {
	if w.held == nil {
		n, err := w.packed.Write(p)
		return n, w.note(err)
	}
	if w.held = append(w.held, p...); len(w.held) < squeezeFrom {
		return len(p), nil
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(w.status)
	w.packed = gzips.Get().(*gzip.Writer)
	w.packed.Reset((*wire)(w))
	held := w.held
	w.held = nil
	_, err := w.packed.Write(held)
	return len(p), w.note(err)
}

// finish sends what is held, and the end of what is compressed.
func (w *recorder) finish() {
	switch {
	case w.packed != nil:
		_ = w.note(w.packed.Close())
		w.packed.Reset(nil)
		gzips.Put(w.packed)
		w.packed = nil
	case w.held != nil:
		held := w.held
		w.held = nil
		w.ResponseWriter.WriteHeader(w.status)
		_, _ = (*wire)(w).Write(held)
	}
}

// wire counts what goes out.
type wire recorder

// Write sends.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, (*recorder)(w).note(err)
}
