package accesslog

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

const patience = weirtest.Patience

// receiver returns a receiver with its token; it is closed with the test.
func receiver(t testing.TB, addr string, buffer int) (*Receiver, string) {
	t.Helper()
	token := NewToken()
	r, err := listenWith(addr, token, buffer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, token
}

// sender returns a socket that is connected to the receiver.
func sender(t testing.TB, r *Receiver) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t testing.TB, c net.Conn, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if _, err := c.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits until the counts are as check wants them.
func eventually(t testing.TB, r *Receiver, check func(Counts) error) Counts {
	t.Helper()
	var c Counts
	weirtest.Eventually(t, patience, func() error {
		c = r.Snapshot()
		return check(c)
	})
	return c
}

// arrived waits for so many datagrams of any kind.
func arrived(t testing.TB, r *Receiver, n uint64) Counts {
	t.Helper()
	return eventually(t, r, func(c Counts) error {
		if got := c.Lines + c.Foreign + c.Notices + c.Malformed; got != n {
			return fmt.Errorf("%d datagrams came, want %d: %+v", got, n, c)
		}
		return nil
	})
}

func TestListenRefuses(t *testing.T) {
	t.Parallel()
	token := NewToken()
	for addr, token := range map[string]string{
		"0.0.0.0:0": token, "192.0.2.1:0": token, "localhost:0": token, "127.0.0.1": token, "": token,
		"127.0.0.1:0": "short", "127.0.0.2:0": "", "127.0.0.3:0": token + `"`, "127.0.0.4:0": token + "%",
	} {
		if r, err := Listen(addr, token); err == nil {
			t.Errorf("listens at %q with token %q", r.Addr(), token)
			_ = r.Close()
		}
	}
	r, _ := receiver(t, weirtest.Addr(t)+":0", bufferSize)
	if other, err := Listen(r.Addr().String(), token); err == nil {
		t.Error("two listen at one address")
		_ = other.Close()
	}
}

func TestListenIPv6(t *testing.T) {
	t.Parallel()
	r, token := receiver(t, "[::1]:0", bufferSize)
	send(t, sender(t, r), keyOpening+token+keyClosing+httpLine)
	if c := arrived(t, r, 1); c.Lines != 1 {
		t.Errorf("counted %+v", c)
	}
}

func TestForeignAndMalformedAreDroppedAndCounted(t *testing.T) {
	t.Parallel()
	r, token := receiver(t, weirtest.Addr(t)+":0", bufferSize)
	ours := keyOpening + token + keyClosing
	wrong := "x" + token[1:]
	if wrong == token {
		wrong = "y" + token[1:]
	}
	send(t, sender(t, r),
		"", "hello", keyOpening+wrong+keyClosing+httpLine, "<134>"+ours+httpLine, keyOpening+token, " "+ours+httpLine,
		keyOpening+keyClosing+httpLine, "Proxy http-443 stopped (cumulated conns: FE: 1, BE: 0).\n",
		ours, ours+httpLine[:100], ours+strings.Repeat("x", 2*MaxLine), ours+httpLine+strings.Repeat(" ", MaxLine),
		ours+httpLine, ours+errLine)
	c := arrived(t, r, 14)
	if c.Foreign != 7 || c.Notices != 1 || c.Malformed != 4 || c.Lines != 2 || c.ConnectionErrors != 1 || len(c.Series) != 1 {
		t.Errorf("counted %+v", c)
	}
	if m := r.Malformed(); !strings.HasPrefix(m, `"y":"h"`) || strings.Contains(m, token) || len(m) > sampleSize {
		t.Errorf("last malformed line: %q", m)
	}
}

func TestCloseCountsWhatHasArrived(t *testing.T) {
	t.Parallel()
	r, token := receiver(t, weirtest.Addr(t)+":0", bufferSize)
	c := sender(t, r)
	for range 200 {
		send(t, c, keyOpening+token+keyClosing+httpLine)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if n := r.Snapshot().Lines; n != 200 {
		t.Errorf("%d lines counted, 200 had arrived", n)
	}
}

func TestRecent(t *testing.T) {
	t.Parallel()
	r, token := receiver(t, weirtest.Addr(t)+":0", bufferSize)
	ours := keyOpening + token + keyClosing
	c := sender(t, r)
	send(t, c, ours+httpLine, ours+replaced(`"si":"www"`, `"si":"shop"`, `"st":200`, `"st":404`),
		ours+replaced(`"st":200`, `"st":503`), ours+tcpLine, ours+errLine)
	arrived(t, r, 5)
	for _, f := range []struct {
		Filter
		n, want int
	}{
		{Filter{}, 10, 5},
		{Filter{}, 2, 2},
		{Filter{}, 0, 0},
		{Filter{Site: "www"}, 10, 2},
		{Filter{Pool: "ldap"}, 10, 1},
		{Filter{Status: 4}, 10, 1},
		{Filter{Status: 503}, 10, 1},
		{Filter{Site: "www", Status: 404}, 10, 0},
	} {
		if got := r.Recent(f.Filter, f.n); len(got) != f.want {
			t.Errorf("%+v: %d entries, want %d", f, len(got), f.want)
		}
	}
	got := r.Recent(Filter{}, 5)
	if got[0].Path != "/api/v1/things/4711" || got[4].Error != "SSL_HANDSHAKE" || got[3].Kind != "tcp" {
		t.Errorf("entries %+v", got)
	}
	if got[0].Time.UnixMilli() != 1795256399405 || got[4].Pool != "" {
		t.Errorf("entries %+v", got)
	}
}

func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	r := newRing(1000)
	for i := range 100 {
		r.add([]byte(strings.Repeat("x", i%40) + fmt.Sprint(i)))
		if n := len(r.copy()); n > 1000 {
			t.Fatalf("the ring holds %d bytes", n)
		}
	}
	r.add(make([]byte, 501)) // longer than a half: left out
	var last, line []byte
	for content := r.copy(); len(content) > 0; last = line {
		line, content = split(content)
	}
	if !strings.HasSuffix(string(last), "99") || len(r.copy()) < 400 {
		t.Errorf("last line %q of %d bytes", last, len(r.copy()))
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	r := &Receiver{table: newTable(maxSeries), losses: newLosses(0), recent: newRing(recentSize), opening: []byte(keyOpening + keyClosing)}
	lines := [][]byte{
		[]byte(keyOpening + keyClosing + httpLine), []byte(keyOpening + keyClosing + hdrLine),
		[]byte(keyOpening + keyClosing + tcpLine), []byte(keyOpening + keyClosing + errLine),
		[]byte("foreign"), []byte(keyOpening + keyClosing + "malformed"),
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, line := range lines {
			r.count(line, true)
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d lines", n, len(lines))
	}
}

// BenchmarkCount is all that happens to a line once it is in memory.
func BenchmarkCount(b *testing.B) {
	r := &Receiver{table: newTable(maxSeries), losses: newLosses(0), recent: newRing(recentSize), opening: []byte(keyOpening + keyClosing)}
	line := []byte(keyOpening + keyClosing + httpLine)
	b.ReportAllocs()
	for b.Loop() {
		r.count(line, true)
	}
}

// BenchmarkReceiver sends lines over the loopback and waits for all of them; most of its time
// is the sender's.
func BenchmarkReceiver(b *testing.B) {
	r, token := receiver(b, weirtest.Addr(b)+":0", bufferSize)
	c := sender(b, r)
	line := []byte(keyOpening + token + keyClosing + httpLine)
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		if _, err := c.Write(line); err != nil {
			b.Fatal(err)
		}
		n++
	}
	arrived(b, r, n)
}

// A server that has left maintenance is as down as before: of hundreds that are added nobody need look at each.
func TestWordsOfServersWorthALook(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"Server web/a is DOWN/READY (leaving forced maintenance).":                           false,
		"Server web/a is UP/READY (leaving forced maintenance).":                             true,
		"Server web/a is UP, reason: Layer7 check passed, code: 200, check duration: 0ms.":   true,
		"Server web/a is DOWN, reason: Layer4 connection problem, info: Connection refused.": true,
		"Server web/a is going DOWN for maintenance. 1 active and 0 backup servers left.":    true,
		"backend web has no server available!":                                               true,
	} {
		if !saysOf([]byte(text)) || isEvent([]byte(text)) != want {
			t.Errorf("%q: worth a look %t, want %t", text, isEvent([]byte(text)), want)
		}
	}
}
