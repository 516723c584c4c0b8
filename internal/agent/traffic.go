package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"weir/internal/accesslog"
	"weir/internal/link"
	"weir/internal/secrets"
)

// traffic turns what the access log counted into what a report holds: a table of rows, and all else as a text.
type traffic struct{ last *link.Table }

// take gives the table, the same one in memory as before when nothing in it has moved.
func (t *traffic) take(c accesslog.Counts, log *slog.Logger) (json.RawMessage, *link.Table) {
	next := &link.Table{Since: c.Since, Columns: accesslog.Columns(), Rows: make(map[string]json.RawMessage, len(c.Series))}
	same := t.last != nil && t.last.Since.Equal(c.Since) && len(t.last.Rows) == len(c.Series)
	for i := range c.Series {
		s := &c.Series[i]
		name, row := s.Name(), json.RawMessage(s.Row())
		if was, ok := rowOf(t.last, name); ok && bytes.Equal(was, row) {
			row = was
		} else {
			same = false
		}
		next.Rows[name] = row
	}
	if same {
		next = t.last
	}
	t.last = next
	c.Series = nil
	rest, err := json.Marshal(c)
	if err != nil {
		log.Warn("read counters", "error", err)
	}
	return rest, next
}

func rowOf(t *link.Table, name string) (json.RawMessage, bool) {
	if t == nil {
		return nil, false
	}
	row, ok := t.Rows[name]
	return row, ok
}

// wholeOf gives what puts a table and all else together again, for control planes that take no tables.
func wholeOf(rest json.RawMessage, t *link.Table) func() json.RawMessage {
	return func() json.RawMessage {
		var c accesslog.Counts
		if json.Unmarshal(rest, &c) != nil || c.TakeRows(t.Columns, t.Rows) != nil {
			return rest
		}
		whole, err := json.Marshal(c)
		if err != nil {
			return rest
		}
		return whole
	}
}

// countsFile holds what the access log had counted when an agent ended.
const countsFile = "log-counters.json"

// resumeCounts goes on from where an earlier agent ended. The file is gone before anything that builds on it is told: an
// agent that was killed counts from zero, which is seen, and never goes back a little, which would count twice.
func (a *Agent) resumeCounts() {
	path := filepath.Join(a.opts.Dir, countsFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var kept accesslog.Counts
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err == nil && kept.Since.IsZero() {
		err = errors.New("it does not say since when it counts")
	}
	if rerr := os.Remove(path); rerr != nil {
		err = errors.Join(err, rerr)
	}
	if err != nil {
		a.log.Warn("the access log's counters begin anew, since what was kept of them can't be used", "file", path, "error", err)
		return
	}
	a.receiver.Resume(kept)
}

// keepCounts writes, last of all, what the next agent goes on from.
func (a *Agent) keepCounts() {
	a.report.mu.Lock()
	zones := a.report.zones
	a.report.mu.Unlock()
	raw, err := json.Marshal(attribute(a.receiver.Snapshot(), zones))
	if err == nil {
		err = secrets.WriteFile(filepath.Join(a.opts.Dir, countsFile), raw, 0o600)
	}
	if err != nil {
		a.log.Warn("the access log's counters begin anew with the next agent, since they can't be kept", "error", err)
	}
}
