package hapctl

import (
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// A server that is added at run time, and one that returns from maintenance, ramps by slowstart: after its first good
// check with init-state down, and at once where nothing is said of the first state or there is no check. Only with
// init-state up it has all its weight at once. HAProxy's manual speaks of servers that failed before only.
func TestFactSlowStart(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, oneBackend)
		o := l.origin(2)
		for _, tt := range []struct {
			name, options string
			ramps         bool
		}{
			{"down", "check inter 50ms fastinter 50ms init-state down", true},
			{"plain", "check inter 50ms fastinter 50ms", true},
			{"up", "check inter 50ms fastinter 50ms init-state up", false},
			{"unchecked", "", true},
		} {
			l.do("add server b/" + tt.name + " " + o.Addr + " weight 100 slowstart 1h " + tt.options)
			for _, when := range []string{"added", "returned"} {
				l.do("enable server b/" + tt.name)
				if tt.options != "" {
					l.do("enable health b/" + tt.name)
				}
				l.eventuallyUp("b", tt.name, true)
				if s := l.stat("b", tt.name); s.UserWeight != 100 || (s.Weight < 20) != tt.ramps {
					t.Errorf("%s, %s: weight %d of %d; ramps %v", tt.name, when, s.Weight, s.UserWeight, tt.ramps)
				}
				l.do("disable server b/" + tt.name)
			}
		}
	})
}

// Two servers whose ids are equal in the lowest 28 bits have the same places on the ring of a consistent hash.
func TestFactLowBitsOfID(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, "frontend f from base\n bind ADDR:8080\n default_backend b\nbackend b from base\n balance hash req.hdr(host)\n hash-type consistent\n")
		var addrs []string
		for i := range 5 {
			addrs = append(addrs, l.origin(2+i).Addr)
		}
		ids := []int{12345, 200_000_017, 77_777_777, 131_071}
		for i, id := range ids {
			l.do(fmt.Sprintf("add server b/s%d %s weight 100 id %d", i, addrs[i], id), fmt.Sprintf("enable server b/s%d", i))
		}
		before := l.keys(200, "")
		l.do(fmt.Sprintf("add server b/next %s weight 100 id %d", addrs[4], ids[1]+3<<28), "enable server b/next", "disable server b/s1")
		after := l.keys(200, "")
		for i := range before {
			if want := strings.ReplaceAll(before[i], addrs[1], addrs[4]); after[i] != want {
				t.Fatalf("key %d went from %s to %s", i, before[i], after[i])
			}
		}
	})
}

// keys asks for that many hosts and gives who answered each; from, when set, gives each key an address to come from.
func (l *lab) keys(n int, from string) (to []string) {
	l.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for k := range n {
		if from != "" {
			transport.CloseIdleConnections()
			transport = &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf(from, k%250+1))}}).DialContext}
		}
		req, err := http.NewRequest("GET", "http://"+l.addr+fmt.Sprintf(":8080/%d", k), nil)
		if err != nil {
			l.Fatal(err)
		}
		req.Host = fmt.Sprintf("key%d", k)
		res, err := (&http.Client{Transport: transport, Timeout: patient}).Do(req)
		if err != nil {
			l.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		to = append(to, res.Header.Get("X-Origin"))
	}
	return to
}

// With ids whose lowest 28 bits come of the servers' names, as Weir writes them, no key of 1,000 moves over a reload, a
// fresh start, another order of adding, a second HAProxy, or the deletion and return of a server, at another address too;
// while one is away only its own keys are elsewhere.
func TestFactKeysStay(t *testing.T) {
	t.Parallel()
	for _, balance := range []string{"hash req.hdr(host)", "uri", "source"} {
		t.Run(strings.Fields(balance)[0], func(t *testing.T) {
			t.Parallel()
			weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) { keysStay(t, h, balance) })
		})
	}
}

func keysStay(t *testing.T, h weirtest.HAProxy, balance string) {
	const servers, many = 6, 1000
	first := newLab(t, h, "")
	second := newLab(t, h, "")
	var addrs []string
	for i := range servers + 1 {
		addrs = append(addrs, first.origin(2+i).Addr)
	}
	line := func(i int, addr string) string {
		place := fnv.New32a()
		fmt.Fprintf(place, "pod-%d", i)
		return fmt.Sprintf("%s id %d weight 100", addr, int(place.Sum32()&(1<<28-1))|1|len(addr)%8<<28)
	}
	config := func(order ...int) string {
		text := "frontend f from base\n bind ADDR:8080\n default_backend b\nbackend b from base\n balance " + balance + "\n hash-type consistent\n"
		for _, i := range order {
			text += fmt.Sprintf(" server pod-%d %s\n", i, line(i, addrs[i]))
		}
		return text
	}
	ask := func(l *lab) []string {
		if balance == "source" {
			return l.keys(many, "127.9.9.%d")
		}
		return l.keys(many, "")
	}
	first.config(config())
	first.start()
	for _, i := range []int{3, 0, 5, 1, 4, 2} {
		first.do(fmt.Sprintf("add server b/pod-%d %s", i, line(i, addrs[i])), fmt.Sprintf("enable server b/pod-%d", i))
	}
	before := ask(first)
	same := func(when string, now []string) {
		t.Helper()
		if n := moved(before, now, ""); n != 0 {
			t.Errorf("%s: %d of %d keys moved", when, n, many)
		}
	}
	first.config(config(0, 1, 2, 3, 4, 5))
	first.reload()
	same("reload", ask(first))
	second.config(config(5, 4, 3, 2, 1, 0))
	second.start()
	same("another HAProxy, from its files", ask(second))

	first.do("disable server b/pod-2", "wait 5s srv-removable b/pod-2", "del server b/pod-2")
	without := ask(first)
	if n := moved(before, without, addrs[2]); n != 0 || slices.Contains(without, addrs[2]) {
		t.Errorf("without one server %d keys of others moved", n)
	}
	first.do("add server b/pod-2 "+line(2, addrs[2]), "enable server b/pod-2")
	same("deleted and added again", ask(first))

	first.do("disable server b/pod-2", "wait 5s srv-removable b/pod-2", "del server b/pod-2", "add server b/pod-2 "+line(2, addrs[servers]), "enable server b/pod-2")
	for i, to := range ask(first) {
		if want := strings.ReplaceAll(before[i], addrs[2], addrs[servers]); to != want {
			t.Fatalf("another address of one server moves key %d from %s to %s", i, before[i], to)
		}
	}
}

// moved counts the keys that go to another server than before, but for those of one that is away.
func moved(before, now []string, away string) (n int) {
	for i := range before {
		if before[i] != now[i] && before[i] != away {
			n++
		}
	}
	return n
}

// A server in maintenance that answers a request still does so to its end, however long, unless «timeout server» ends
// it; it gets no other, from a client that sticks to it by cookie neither, and can be deleted then.
func TestFactRemovalDrains(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, oneBackend+"  cookie SRV insert indirect nocache\n  timeout server 700ms\n  option redispatch 1\n")
		slow, other := l.origin(2), l.origin(3)
		slow.SetDelay(time.Hour)
		l.do("add server b/slow "+slow.Addr+" cookie slow", "enable server b/slow")
		ended := make(chan int, 1)
		go func() {
			status, _, _ := l.get("x")
			ended <- status
		}()
		l.eventually(func() error {
			if slow.Hits("/") == 0 {
				return fmt.Errorf("nothing has come yet")
			}
			return nil
		})
		l.do("add server b/other "+other.Addr+" cookie other", "enable server b/other", "disable server b/slow")
		l.refused("wait 20ms srv-removable b/slow")
		req, err := http.NewRequest("GET", "http://"+l.addr+":8080/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(&http.Cookie{Name: "SRV", Value: "slow"})
		res, err := (&http.Client{Timeout: patient}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("X-Origin"); got != other.Addr || res.StatusCode != http.StatusOK {
			t.Errorf("who sticks to a server that goes is answered %d by %s", res.StatusCode, got)
		}
		if status := <-ended; status != http.StatusGatewayTimeout {
			t.Errorf("the request in flight ended with %d", status)
		}
		l.do("wait 5s srv-removable b/slow", "del server b/slow")
		if n := slow.Hits("/"); n != 1 {
			t.Errorf("%d requests came to the server that went", n)
		}
	})
}
