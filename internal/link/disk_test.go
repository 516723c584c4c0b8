package link

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reportsTrouble waits until the control plane is told that something can't be kept.
func (w *world) reportsTrouble(name, text string) {
	w.t.Helper()
	w.reported(name, func(r Reported) error {
		if r.State != Failed || !strings.Contains(r.Message, text) {
			return fmt.Errorf("%s: %q, want %q", r.State, r.Message, text)
		}
		return nil
	})
}

func (w *world) reportsConverged(name string) {
	w.t.Helper()
	w.reported(name, func(r Reported) error {
		if r.State != Converged || r.Message != "" {
			return fmt.Errorf("%s: %q", r.State, r.Message)
		}
		return nil
	})
}

func TestAStateThatCannotBeKeptIsToldAndComesLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	c, err := Open(w.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	// What can't be renamed away stands in for a disk that takes nothing.
	if err := os.Mkdir(c.journal.path, 0o700); err != nil {
		t.Fatal(err)
	}
	a := run(t, c)
	w.reportsTrouble("lb1", "can't keep the newest state")
	a.Report(Report{Agent: "v1", State: Converged})
	w.reported("lb1", func(r Reported) error {
		if r.Agent != "v1" || r.State != Failed {
			return fmt.Errorf("%s of %q", r.State, r.Agent)
		}
		return nil
	})
	if n := len(a.states()); n != 0 {
		t.Errorf("%d states that are not on disk", n)
	}
	if err := os.Remove(c.journal.path); err != nil {
		t.Fatal(err)
	}
	a.at(1)
	w.reportsConverged("lb1")
}

func TestKeysThatCannotBeKeptAreToldAndComeLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	a := w.agent(dir)
	a.at(1)
	a.Report(Report{Agent: "v1", State: Converged})
	w.reportsConverged("lb1")
	keys := filepath.Join(dir, "keys")
	if err := os.RemoveAll(keys); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keys, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.set("edge", 2, append(many(2), cert("www", 1)), "lb1")
	w.reportsTrouble("lb1", "can't keep the newest state")
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	a.at(2)
	w.reportsConverged("lb1")
}

func TestAJournalThatCannotBeShortenedIsNoObstacle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	c, err := Open(w.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	a := run(t, c)
	a.at(1)
	a.stop()
	if c, err = Open(w.options(dir)); err != nil {
		t.Fatal(err)
	}
	// A folder in the way of the new file.
	if err := os.Remove(c.journal.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.journal.path, 0o700); err != nil {
		t.Fatal(err)
	}
	c.journal.base = -journalSlack
	w.set("edge", 2, many(3), "lb1")
	run(t, c).at(2)
}
