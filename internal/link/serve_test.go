package link

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// logbook keeps what a hub logs.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) lines(with string) (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, with) {
			list = append(list, line)
		}
	}
	return list
}

// TestARestartWarnsOfNothing: the agents come back while the hub still starts, and build their reports on what it has
// forgotten; both is as it must be.
func TestARestartWarnsOfNothing(t *testing.T) {
	t.Parallel()
	book := new(logbook)
	w := newWorld(t, func(o *HubOptions) { o.Log = slog.New(slog.NewTextHandler(book, nil)) })
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	a := w.agent(dir)
	r := sample(3)
	a.Report(r)
	w.reported("lb1", func(Reported) error { return nil })
	w.stop()
	w.start()
	conn := w.conn(dir)
	if no := w.refused(conn, nil); no.status != 503 {
		t.Errorf("while it starts: %d %s", no.status, no.detail)
	}
	w.set("edge", 1, many(2), "lb1")
	r.Revision = 8
	a.Report(r)
	got := w.reported("lb1", func(r Reported) error {
		if r.Revision != 8 {
			return fmt.Errorf("revision %d", r.Revision)
		}
		return nil
	})
	if len(got.Servers["web"]) != 3 {
		t.Errorf("of the report came %d servers", len(got.Servers["web"]))
	}
	if warned := book.lines("level=WARN"); len(warned) > 0 {
		t.Errorf("a restart warned: %s", warned)
	}
	if nothing := book.lines("cause="); len(nothing) > 0 {
		t.Errorf("a cause that is none: %s", nothing)
	}
	for _, text := range []string{"asked an agent for all of its report", "asked an agent to come again"} {
		if len(book.lines(text)) == 0 {
			t.Errorf("nothing says %q", text)
		}
	}
	// A real refusal is a warning, with its cause if it has one.
	if no := w.refused(w.conn(""), nil); no.status != 401 || len(book.lines("level=WARN")) != 1 || len(book.lines("cause=")) != 0 {
		t.Errorf("%d: %s", no.status, book.lines("level=WARN"))
	}
}

// broken is a registry that can't be asked.
type broken struct{ Registry }

func (broken) Admit(context.Context, string, *x509.Certificate) error {
	return errors.New("the disk is gone")
}

func TestCausesAreLogged(t *testing.T) {
	t.Parallel()
	book := new(logbook)
	w := newWorld(t, func(o *HubOptions) {
		o.Log, o.Registry = slog.New(slog.NewTextHandler(book, nil)), broken{o.Registry}
	})
	w.set("edge", 1, many(2), "lb1")
	w.refused(w.conn(w.enrol("lb1")), nil)
	if lines := book.lines(`cause="the disk is gone"`); len(lines) != 1 || !strings.Contains(lines[0], "level=WARN") {
		t.Errorf("%q", lines)
	}
}
