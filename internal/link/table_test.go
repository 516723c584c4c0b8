package link

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func tableOf(since int64, rows ...string) *Table {
	t := &Table{Since: time.Unix(since, 0).UTC(), Columns: []string{"requests"}, Rows: map[string]json.RawMessage{}}
	for _, row := range rows {
		name, n, _ := strings.Cut(row, "=")
		t.Rows[name] = json.RawMessage("[0," + n + "]")
	}
	return t
}

// Of a table only the rows travel that changed, all of it when it began anew or has other columns; what is known in the end
// is what was offered.
func TestTrafficTravelsByRows(t *testing.T) {
	t.Parallel()
	r, all := newReporter(), newReports()
	now := time.Unix(1, 0)
	more := tableOf(1, "a=3", "c=1")
	more.Columns = []string{"requests", "errors"}
	for i, step := range []struct {
		traffic *Table
		rows    string // that travel
		gone    string
	}{
		{tableOf(1, "a=1", "b=1"), "[a b]", "[]"},
		{tableOf(1, "a=1", "b=1"), "[]", "[]"},
		{tableOf(1, "a=2", "b=1", "c=1"), "[a c]", "[]"},
		{tableOf(1, "a=3", "c=1"), "[a]", "[b]"},
		{more, "[a c]", "[]"},
		{tableOf(9, "a=1"), "[a]", "[]"},
		{nil, "[]", "[]"},
		{tableOf(9, "a=1"), "[a]", "[]"},
	} {
		report := Report{Traffic: step.traffic}
		p, sent := r.build(&report, now)
		var names []string
		if p.Report.Traffic != nil {
			names = sortedKeys(p.Report.Traffic.Rows)
		}
		if got := fmt.Sprint(names, p.GoneRows); got != step.rows+" "+step.gone {
			t.Errorf("%d: %s travel, want %s and %s gone", i, got, step.rows, step.gone)
		}
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var came statusPost
		if err := json.Unmarshal(raw, &came); err != nil {
			t.Fatal(err)
		}
		if !all.put("lb1", came, now) {
			t.Fatalf("%d: refused", i)
		}
		r.base, r.sent, r.traffic = p.Seq, sent, report.Traffic
		got, _ := all.Get("lb1")
		if have, want := toText(got.Traffic), toText(step.traffic); have != want {
			t.Errorf("%d: %s is known, want %s", i, have, want)
		}
	}
}

func sortedKeys(rows map[string]json.RawMessage) []string {
	var names []string
	for _, name := range []string{"a", "b", "c"} {
		if _, ok := rows[name]; ok {
			names = append(names, name)
		}
	}
	return names
}

func toText(t *Table) string {
	raw, err := json.Marshal(t)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// Whatever changes, a table and what changed since give the next one, and nothing that was given out changes.
func TestTablesUponTables(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	have := tableOf(1)
	for range 500 {
		next := tableOf(1 + int64(random.IntN(10)/9))
		maps.Copy(next.Rows, have.Rows)
		for range random.IntN(4) {
			name := fmt.Sprint("row-", random.IntN(20))
			if delete(next.Rows, name); random.IntN(3) > 0 {
				next.Rows[name] = json.RawMessage(fmt.Sprintf("[0,%d]", random.IntN(5)))
			}
		}
		before := toText(have)
		change, gone := next.after(have)
		if got := change.upon(have, gone); toText(got) != toText(next) {
			t.Fatalf("%s, want %s", toText(got), toText(next))
		}
		if toText(have) != before {
			t.Fatal("a table that was given out has changed")
		}
		have = next
	}
}

// A control plane that takes tables says so; until it does, and to one that never does, all counters go as one text.
func TestOldControlPlanesAreToldAll(t *testing.T) {
	t.Parallel()
	r := newReporter()
	report := Report{Counts: json.RawMessage(`{"lines":1}`), Whole: func() json.RawMessage { return json.RawMessage(`{"lines":1,"series":[]}`) }, Traffic: tableOf(1, "a=1")}
	for _, takes := range []bool{false, true, false} {
		r.takes = takes
		p, _ := r.build(&report, time.Unix(1, 0))
		if whole := strings.Contains(string(p.Report.Counts), "series"); whole == takes {
			t.Errorf("takes %t: %s", takes, p.Report.Counts)
		}
	}
	w := newWorld(t)
	w.set("edge", 1, nil, "lb1")
	a := w.agent(w.enrol("lb1"))
	for i, want := range []string{`{"lines":1,"series":[]}`, `{"lines":1}`} {
		next := report
		next.Revision = int64(i + 1)
		a.Report(next)
		if got := w.reported("lb1", func(r Reported) error {
			if r.Revision != next.Revision {
				return fmt.Errorf("report of revision %d", r.Revision)
			}
			return nil
		}); string(got.Counts) != want || got.Traffic == nil || string(got.Traffic.Rows["a"]) != "[0,1]" {
			t.Errorf("report %d: %s, traffic %s", i, got.Counts, toText(got.Traffic))
		}
	}
	// Tables beyond all bounds are passed over, and all else is heard.
	long := tableOf(1, strings.Repeat("x", maxRowName+1)+"=1")
	if got := (Report{Traffic: long, Message: "m"}).bound(); got.Traffic != nil || got.Message != "m" {
		t.Errorf("%+v", got.Traffic)
	}
}
