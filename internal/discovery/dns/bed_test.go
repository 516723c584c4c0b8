package dns

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// dial makes connections to a name server that answers as a test likes, with bytes. No answer ends a TCP connection
// and is silence over UDP.
func dial(answer func(network, server string, q *dns.Msg) [][]byte) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, server string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer func() { _ = theirs.Close() }()
			buf := make([]byte, 65535)
			n, err := theirs.Read(buf)
			q := new(dns.Msg)
			if network == "tcp" && n > 2 {
				buf, n = buf[2:], n-2
			}
			if err != nil || q.Unpack(buf[:n]) != nil {
				return
			}
			for _, a := range answer(network, server, q) {
				if network == "tcp" {
					a = append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)
				}
				if _, err := theirs.Write(a); err != nil {
					return
				}
			}
			if network == "udp" {
				_, _ = io.Copy(io.Discard, theirs)
			}
		}()
		return ours, nil
	}
}

// says answers with a code and records as a zone file has them.
func says(t *testing.T, q *dns.Msg, code int, records ...string) [][]byte {
	m := new(dns.Msg).SetRcode(q, code)
	m.RecursionAvailable = true
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return nil
		}
		if rr.Header().Rrtype == q.Question[0].Qtype || rr.Header().Rrtype == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
		} else {
			m.Extra = append(m.Extra, rr)
		}
	}
	return packed(m)
}

func packed(m *dns.Msg) [][]byte {
	raw, err := m.Pack()
	if err != nil {
		return nil
	}
	return [][]byte{raw}
}

// steps is a clock whose pauses last until the test goes on.
type steps struct {
	pauses chan time.Duration
	goOn   chan time.Time
}

func newSteps() *steps {
	return &steps{pauses: make(chan time.Duration, 1000), goOn: make(chan time.Time)}
}

func (s *steps) clock() discovery.Clock {
	return discovery.Clock{Chance: func() float64 { return 0 }, After: func(d time.Duration) <-chan time.Time {
		s.pauses <- d
		return s.goOn
	}}
}

// recorder is a sink that hands on what it is told.
type recorder struct {
	t            *testing.T
	told         chan string
	inUse, ended atomic.Bool
}

// watch runs a source until the test ends, or stop is called, and checks that it ends then.
func watch(t *testing.T, c Config) (r *recorder, stop func()) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return watchSource(t, s)
}

func watchSource(t *testing.T, s *Source) (r *recorder, stop func()) {
	t.Helper()
	r = &recorder{t: t, told: make(chan string, 10_000)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx, r)
		r.ended.Store(true)
	}()
	stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(weirtest.Patience):
			t.Error("Watch goes on after its context has ended")
		}
	}
	t.Cleanup(stop)
	return r, stop
}

func (r *recorder) say(format string, args ...any) {
	if r.ended.Load() || r.inUse.Swap(true) {
		r.t.Error("the sink is called after the end, or by two at a time")
	}
	select {
	case r.told <- fmt.Sprintf(format, args...):
	default:
	}
	r.inUse.Store(false)
}

func (r *recorder) Part(name string, found []discovery.Found) {
	all := []string{}
	for _, f := range found {
		fields := maps.Clone(f.Fields)
		delete(fields, "name")
		delete(fields, "family")
		if fields["address"] == f.ID {
			delete(fields, "address")
		}
		text := f.ID
		for _, k := range slices.Sorted(maps.Keys(fields)) {
			text += " " + fields[k]
		}
		all = append(all, text)
	}
	if !slices.IsSorted(all) {
		r.t.Errorf("part %s is not sorted: %q", name, all)
	}
	if len(all) > 20 {
		r.say("part %s of %d", name, len(all))
		return
	}
	r.say("part %s %v", name, all)
}
func (r *recorder) Whole(parts []string) { r.say("whole %v", parts) }
func (r *recorder) Alive()               { r.say("alive") }
func (r *recorder) Failed(err error)     { r.say("failed %v", err) }

func (r *recorder) next() string {
	r.t.Helper()
	select {
	case text := <-r.told:
		return text
	case <-time.After(weirtest.Patience):
		r.t.Fatal("nothing is told")
	}
	return ""
}

func (r *recorder) want(all ...string) {
	r.t.Helper()
	for _, want := range all {
		if got := r.next(); got != want {
			r.t.Fatalf("told %q, want %q", got, want)
		}
	}
}
