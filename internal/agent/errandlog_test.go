package agent

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"weir/internal/accesslog"
	"weir/internal/haproxy"
	"weir/internal/link"
)

// TestLogErrandRefuses: without a site nothing is told, and no more follow the log than it can bear.
func TestLogErrandRefuses(t *testing.T) {
	t.Parallel()
	a := &Agent{errands: newErrandState()}
	if err := a.logErrand(t.Context(), json.RawMessage(`{"follow":true}`), nil); err == nil || !strings.Contains(err.Error(), "site") {
		t.Error(err)
	}
	a.errands.tails.Store(maxTails)
	if err := a.logErrand(t.Context(), json.RawMessage(`{"site":"www"}`), nil); !errors.Is(err, link.ErrBusy) {
		t.Error(err)
	}
	if n := a.errands.tails.Load(); n != maxTails {
		t.Errorf("%d follow after one was refused", n)
	}
}

// TestLogTellerCutsLongLines: entries of the longest sort go out in lines that the wire takes, all of them, and the last says
// that the recent ones are over.
func TestLogTellerCutsLongLines(t *testing.T) {
	t.Parallel()
	var list []accesslog.Numbered
	for i := range 40 {
		e := accesslog.Numbered{Number: uint64(i + 1)}
		e.Server = map[bool]string{true: "<NOSRV>", false: "web1.ab12"}[i == 0]
		e.RequestHeaders = map[string]string{"x": strings.Repeat("\x1b", accesslog.MaxLine)}
		list = append(list, e)
	}
	var told []accesslog.Entry
	var last link.LogAnswer
	teller := logTeller{run: "r", say: func(v any) error {
		text, err := json.Marshal(v)
		if err != nil || len(text) > link.MaxErrandLine-64 {
			t.Errorf("a line of %d bytes, %v", len(text), err)
		}
		last = v.(link.LogAnswer)
		for _, raw := range last.Entries {
			var e accesslog.Entry
			if err := json.Unmarshal(raw, &e); err != nil {
				t.Fatal(err)
			}
			told = append(told, e)
		}
		return nil
	}}
	if err := teller.tell(list, 3, true, 44); err != nil {
		t.Fatal(err)
	}
	if len(told) != len(list) || !last.Live || last.After != 44 || last.Left != 0 {
		t.Errorf("%d of %d entries, last %v %d %d", len(told), len(list), last.Live, last.After, last.Left)
	}
	if told[0].Server != "" || told[1].Server != haproxy.BaseName("web1.ab12") {
		t.Errorf("servers %q, %q", told[0].Server, told[1].Server)
	}
}
