package accesslog

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// TestFilter holds each condition of a filter against lines that obey it and lines that do not.
func TestFilter(t *testing.T) {
	t.Parallel()
	place := func(backend, zone string) (string, string) {
		if pool, ok := strings.CutSuffix(backend, "-az1"); ok {
			return pool, "az1"
		}
		return backend, zone
	}
	lines := []string{
		httpLine,
		replaced(`"st":200`, `"st":503`, `"c":"203.0.113.7"`, `"c":"2001:db8::7"`),
		replaced(`"si":"www"`, `"si":"!www"`, `"m":"GET"`, `"m":"POST"`, `"st":200`, `"st":301`),
		replaced(`"si":"www"`, `"si":"shop"`, `"b":"web-az1"`, `"b":"shop"`, `"zo":"az1"`, `"zo":"az2"`),
		replaced(`"e":"--"`, `"e":"sH"`, `"st":200`, `"st":404`, `"t":1795256399405`, `"t":1795256300000`),
		replaced(`"c":"203.0.113.7"`, `"c":"unix"`, `"u":"/api/v1/things/4711"`, `"u":"/apix"`),
	}
	for _, f := range []struct {
		Filter
		want []int
	}{
		{Filter{}, []int{0, 1, 2, 3, 4, 5}},
		{Filter{Site: "www"}, []int{0, 1, 4, 5}},
		{Filter{Site: "www", Mark: "!"}, []int{0, 1, 2, 4, 5}},
		{Filter{Site: "ww"}, nil},
		{Filter{Status: 5}, []int{1}},
		{Filter{Status: 404}, []int{4}},
		{Filter{Method: "POST"}, []int{2}},
		{Filter{Path: "/api/"}, []int{0, 1, 2, 3, 4}},
		{Filter{Client: netip.MustParsePrefix("203.0.113.0/24")}, []int{0, 2, 3, 4}},
		{Filter{Client: netip.MustParsePrefix("2001:db8::/32")}, []int{1}},
		{Filter{Errors: true}, []int{1, 4}},
		{Filter{Since: time.UnixMilli(1795256399405)}, []int{0, 1, 2, 3, 5}},
		{Filter{Pool: "web", Place: place}, []int{0, 1, 2, 4, 5}},
		{Filter{Pool: "web"}, nil},
		{Filter{Zone: "az2", Place: place}, []int{3}},
		{Filter{Zone: "az1", Place: place}, []int{0, 1, 2, 4, 5}},
	} {
		var got []int
		for i, line := range lines {
			var l Line
			if _, err := l.parse([]byte(line)); err != nil {
				t.Fatal(i, err)
			}
			if f.takes(&l) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, f.want) {
			t.Errorf("%+v takes %v, want %v", f.Filter, got, f.want)
		}
	}
}

// TestTail: whoever follows gets the recent lines and every later one, each once and in order, with its number, by which
// another goes on where the first left off; more than the bounds are counted in place of given, and nobody else waits.
func TestTail(t *testing.T) {
	t.Parallel()
	r, token := receiver(t, weirtest.Addr(t)+":0", bufferSize)
	ours := keyOpening + token + keyClosing
	c := sender(t, r)
	path := func(i int) string {
		return ours + replaced(`"u":"/api/v1/things/4711"`, fmt.Sprintf(`"u":"/%d"`, i), `"n":7`, fmt.Sprintf(`"n":%d`, i))
	}
	for i := range 5 {
		send(t, c, path(i))
	}
	send(t, c, ours+replaced(`"si":"www"`, `"si":"shop"`))
	arrived(t, r, 6)
	tail, recent, left := r.Tail(Filter{Site: "www"}, 3, 0)
	defer tail.Close()
	if len(recent) != 3 || left != 2 || recent[0].Path != "/2" || recent[2].Number != 5 {
		t.Fatalf("recent %+v, %d left out", recent, left)
	}
	again, missed, left := r.Tail(Filter{Site: "www"}, 100, recent[0].Number)
	again.Close()
	if len(missed) != 2 || left != 0 || missed[0].Path != "/3" {
		t.Errorf("after number %d: %+v, %d left out", recent[0].Number, missed, left)
	}
	send(t, c, path(6), ours+replaced(`"si":"www"`, `"si":"shop"`), path(7))
	var got []string
	for len(got) < 2 {
		list, left, err := tail.Next(t.Context())
		if err != nil || left != 0 {
			t.Fatal(left, err)
		}
		for _, e := range list {
			got = append(got, fmt.Sprint(e.Path, " ", e.Number))
		}
	}
	if !slices.Equal(got, []string{"/6 7", "/7 9"}) {
		t.Errorf("followed %v", got)
	}
	const flood = 20 * tailRate
	for i := range flood {
		send(t, c, path(100+i))
		if i%500 == 499 {
			arrived(t, r, uint64(9+i+1)) // or the socket's buffer is full where nobody may make it larger
		}
	}
	arrived(t, r, 9+flood)
	n, last := 0, uint64(0)
	for n < flood {
		list, left, err := tail.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if e.Number <= last {
				t.Fatalf("number %d after %d", e.Number, last)
			}
			last = e.Number
		}
		n += len(list) + left
	}
	if n != flood {
		t.Errorf("%d lines given or counted, of %d", n, flood)
	}
	gone, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, _, err := tail.Next(gone); !errors.Is(err, enough) {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tail.Next(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestTailIsBounded: of a flood in one moment the reader is given what fits, and the rest is counted.
func TestTailIsBounded(t *testing.T) {
	t.Parallel()
	r := &Receiver{table: newTable(maxSeries), losses: newLosses(0), recent: newRing(recentSize), opening: []byte(keyOpening + keyClosing)}
	tail, _, _ := r.Tail(Filter{}, 0, 0)
	r.mu.Lock()
	const many = 50_000
	for range many {
		r.count([]byte(keyOpening+keyClosing+httpLine), true)
	}
	r.mu.Unlock()
	if len(tail.waiting) > tailBytes {
		t.Errorf("%d bytes wait", len(tail.waiting))
	}
	list, left, err := tail.Next(t.Context())
	if err != nil || len(list)+left != many || left < many/2 || len(list) < tailRate {
		t.Errorf("%d given, %d left out, %v", len(list), left, err)
	}
}
