package link

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// lines gives those lines of a log that contain a text.
func lines(log *weirtest.Buffer, with string) (list []string) {
	for line := range strings.Lines(log.String()) {
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
	book := new(weirtest.Buffer)
	w := newWorld(t, func(o *HubOptions) { o.Log = slog.New(slog.NewTextHandler(book, nil)) })
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	a := w.agent(dir)
	r := sample(3)
	a.Report(r)
	w.reported("lb1", func(Reported) error { return nil })
	// The second report shows that the agent knows of the first one's arrival, and will build on it.
	r.Revision = 8
	a.Report(r)
	w.reported("lb1", revisionIs(8))
	w.stop()
	w.start()
	conn := w.conn(dir)
	if no := w.refused(conn, nil); no.status != 503 {
		t.Errorf("while it starts: %d %s", no.status, no.detail)
	}
	w.set("edge", 1, many(2), "lb1")
	r.Revision = 9
	a.Report(r)
	got := w.reported("lb1", revisionIs(9))
	if len(got.Servers["web"]) != 3 {
		t.Errorf("of the report came %d servers", len(got.Servers["web"]))
	}
	if warned := lines(book, "level=WARN"); len(warned) > 0 {
		t.Errorf("a restart warned: %s", warned)
	}
	if nothing := lines(book, "cause="); len(nothing) > 0 {
		t.Errorf("a cause that is none: %s", nothing)
	}
	for _, text := range []string{"asked an agent for all of its report", "asked an agent to come again"} {
		if len(lines(book, text)) == 0 {
			t.Errorf("nothing says %q", text)
		}
	}
	// A real refusal is a warning, with its cause if it has one.
	if no := w.refused(w.conn(""), nil); no.status != 401 || len(lines(book, "level=WARN")) != 1 || len(lines(book, "cause=")) != 0 {
		t.Errorf("%d: %s", no.status, lines(book, "level=WARN"))
	}
}

func revisionIs(want int64) func(Reported) error {
	return func(r Reported) error {
		if r.Revision != want {
			return fmt.Errorf("revision %d", r.Revision)
		}
		return nil
	}
}

// broken is a registry that can't be asked.
type broken struct{ Registry }

func (broken) Admit(context.Context, string, *x509.Certificate) error {
	return errors.New("the disk is gone")
}

func TestCausesAreLogged(t *testing.T) {
	t.Parallel()
	book := new(weirtest.Buffer)
	w := newWorld(t, func(o *HubOptions) {
		o.Log, o.Registry = slog.New(slog.NewTextHandler(book, nil)), broken{o.Registry}
	})
	w.set("edge", 1, many(2), "lb1")
	w.refused(w.conn(w.enrol("lb1")), nil)
	if told := lines(book, `cause="the disk is gone"`); len(told) != 1 || !strings.Contains(told[0], "level=WARN") {
		t.Errorf("%q", told)
	}
}
