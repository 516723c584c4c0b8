package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"weir/internal/accesslog"
	"weir/internal/link"
	"weir/internal/secrets"
)

// traffic turns what the access log counted into what a report holds: tables of rows, by sites and of calls to partners, and
// all else as a text.
type traffic struct{ sites, calls *link.Table }

// counted is what was counted that can be a row.
type counted interface {
	Name() string
	Row() []byte
}

// take gives the tables, the same ones in memory as before when nothing in them has moved.
func (t *traffic) take(c accesslog.Counts, log *slog.Logger) (rest json.RawMessage, sites, calls *link.Table) {
	t.sites = tableOf(t.sites, c.Since, accesslog.Columns(), len(c.Series), func(i int) counted { return &c.Series[i] })
	if len(c.Calls) > 0 || t.calls != nil {
		t.calls = tableOf(t.calls, c.Since, accesslog.CallColumns(), len(c.Calls), func(i int) counted { return &c.Calls[i] })
	}
	c.Series, c.Calls = nil, nil
	rest, err := json.Marshal(c)
	if err != nil {
		log.Warn("read counters", "error", err)
	}
	return rest, t.sites, t.calls
}

// tableOf gives n rows, or the table of before when they are the same.
func tableOf(last *link.Table, since time.Time, columns []string, n int, at func(int) counted) *link.Table {
	next := &link.Table{Since: since, Columns: columns, Rows: make(map[string]json.RawMessage, n)}
	same := last != nil && last.Since.Equal(since) && len(last.Rows) == n
	for i := range n {
		one := at(i)
		name, row := one.Name(), json.RawMessage(one.Row())
		if was, ok := rowOf(last, name); ok && bytes.Equal(was, row) {
			row = was
		} else {
			same = false
		}
		next.Rows[name] = row
	}
	if same {
		return last
	}
	return next
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
