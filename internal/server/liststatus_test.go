package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
)

func TestFetchedListsAreTold(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	source := &weir.ListSource{URL: "https://feed.example.com/a", Holds: weir.HoldsNetworks}
	o := &weir.Object{Kind: "AccessList", Metadata: weir.Metadata{Name: "drop"}, Spec: &weir.AccessList{Source: source}}
	for want, s := range map[string]*weir.ListStatus{
		"Watched Unknown NotYet: it was not fetched yet":                                             nil,
		"Watched True Answers: 3 entries, fetched " + clock(at):                                      {URL: source.URL, Entries: 3, FetchedAt: at},
		"Watched False Failing: HTTP 500; what stands: 3 entries, fetched " + clock(at):              {URL: source.URL, Entries: 3, FetchedAt: at, Error: "HTTP 500", FailedAt: at},
		"Watched False Failing: HTTP 500; what stands: nothing was fetched of it yet":                {URL: source.URL, Error: "HTTP 500", FailedAt: at},
		"Believed False Doubted: the place has only 1 entries, and the list had 3: those stay until": {URL: source.URL, Entries: 3, FetchedAt: at, Fewer: 1, FewerSince: at, FewerUntil: at},
		"Watched Unknown NotYet: it was not fetched yet ":                                            {URL: "https://feed.example.com/before", Entries: 3, FetchedAt: at},
	} {
		f := &fleet{}
		f.fetched.lists = map[weir.Ref]*weir.ListStatus{o.Ref(): s}
		var said []string
		for _, c := range (&view{moment: &moment{fleet: f}, object: o, ref: o.Ref()}).fetchedList() {
			said = append(said, fmt.Sprintf("%s %s %s: %s", c.Type, c.Status, c.Reason, c.Message))
		}
		if !strings.Contains(strings.Join(said, "\n"), strings.TrimSpace(want)) {
			t.Errorf("%q, want %s", said, want)
		}
	}
	m := &weir.Object{Kind: "Map", Metadata: weir.Metadata{Name: "drop"}, Spec: &weir.Map{Source: source}}
	f := &fleet{}
	f.fetched.lists = map[weir.Ref]*weir.ListStatus{o.Ref(): {URL: source.URL, Entries: 3, FetchedAt: at}}
	if list := (&view{moment: &moment{fleet: f}, object: m, ref: m.Ref()}).fetchedList(); len(list) != 1 || list[0].Reason != "NotYet" {
		t.Errorf("of a Map with the name of a list: %v", list)
	}
	plain := &weir.Object{Kind: "AccessList", Spec: &weir.AccessList{}}
	if list := (&view{moment: &moment{fleet: &fleet{}}, object: plain}).fetchedList(); len(list) > 0 {
		t.Errorf("of a list without a source: %v", list)
	}
}
