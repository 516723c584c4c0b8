package tally

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/internal/haproxy"
)

func TestFiguresOnTheWire(t *testing.T) {
	t.Parallel()
	want := Figures{
		Since: time.Unix(5, 0).UTC(), Total: Row{Open: 1, Counters: haproxy.Counters{3, 4}},
		Frontends: map[string]Row{"http-80": {Queued: 2}}, Pools: map[string]Row{"web": {Counters: haproxy.Counters{haproxy.NumCounters - 1: 9}}, "idle": {}},
		Servers: map[string]map[string]Row{"web": {"s1": {Counters: haproxy.Counters{haproxy.Retries: 1}}}},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Figures
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%+v, want\n%+v\n%s", err, got, want, text)
	}
	// Another version has other columns in another order.
	other := `{"since":"2026-11-21T00:00:00Z","columns":["of tomorrow","requests","open","requests"],"pools":{"web":[7,8,1,9]}}`
	if err := json.Unmarshal([]byte(other), &got); err != nil || got.Pools["web"] != (Row{Open: 1, Counters: haproxy.Counters{haproxy.Requests: 8}}) {
		t.Errorf("%v: %+v", err, got)
	}
	if err := json.Unmarshal([]byte(`{"columns":["open"],"pools":{"web":[7,8]}}`), &got); err == nil || !strings.Contains(err.Error(), "2 numbers for 1 columns") {
		t.Errorf("%v", err)
	}
}

// Whatever lies on disk is a book that can be gone on with, or an error that leaves the book as it was.
func FuzzBook(f *testing.F) {
	b := NewBook(time.Unix(1, 0))
	b.Read(Worker{1, 2}, []haproxy.CounterRow{{Proxy: "web.abcd", Service: "s1.abcd", Type: haproxy.StatServer, Counters: haproxy.Counters{1, 2}}}, Scope{Servers: true})
	text, err := json.Marshal(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add(`{"columns":["open","open"],"sums":[{"t":1,"p":"a","n":[1]}],"workers":[{"pid":1}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		b := NewBook(time.Unix(1, 0))
		if json.Unmarshal([]byte(text), b) != nil {
			if !b.Empty() {
				t.Fatal("an error, and something was read")
			}
			return
		}
		first, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		again := NewBook(time.Time{})
		if err := json.Unmarshal(first, again); err != nil {
			t.Fatal(err)
		}
		if second, err := json.Marshal(again); err != nil || string(second) != string(first) {
			t.Fatalf("%v\n%s\n%s", err, first, second)
		}
		b.Read(Worker{1, 2}, nil, Scope{})
		b.Sweep()
		b.Figures(true)
	})
}
