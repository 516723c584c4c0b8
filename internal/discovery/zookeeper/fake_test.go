package zookeeper

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// fake serves one connection after the other as its test likes: each is given what a client sent, frame by frame, and
// what it answers goes back as it is. Nil ends the connection, as does the end that an answer has after it, and an empty
// answer is silence.
func fake(t *testing.T, answer func(conn, frame int, asked []byte) []byte) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	var mu sync.Mutex
	conns := 0
	return func(context.Context, string, string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		ours, theirs := net.Pipe()
		go serve(theirs, conns, answer)
		conns++
		return ours, nil
	}
}

// end is what an answer has after it that ends the connection.
var end = []byte("and that is the end")

func serve(conn net.Conn, number int, answer func(conn, frame int, asked []byte) []byte) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for i := 0; ; i++ {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return
		}
		asked := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(r, asked); err != nil {
			return
		}
		out := answer(number, i, asked)
		if out == nil {
			return
		}
		last, cut := bytes.CutSuffix(out, end)
		if _, err := conn.Write(last); err != nil || cut {
			return
		}
	}
}

func session2s() []byte {
	var w writer
	w.int32(0)
	w.int32(2000)
	w.int64(7)
	w.bytes(make([]byte, 16))
	return w.frame()
}

// answerTo makes the answer to what was asked.
func answerTo(asked []byte, code code, body func(w *writer)) []byte {
	var w writer
	w.int32(int32(binary.BigEndian.Uint32(asked)))
	w.int64(1)
	w.int32(int32(code))
	if body != nil {
		body(&w)
	}
	return w.frame()
}

func opOf(asked []byte) int32 { return int32(binary.BigEndian.Uint32(asked[4:])) }

func writeStat(w *writer) {
	w.start()
	w.raw = append(w.raw, make([]byte, 68)...)
}

// ensemble answers as a server that has the nodes a and b below /web, both at 10.0.0.1:80.
func ensemble(frame int, asked []byte) []byte {
	if frame == 0 {
		return session2s()
	}
	switch opOf(asked) {
	case opExists:
		return answerTo(asked, 0, writeStat)
	case opGetChildren2:
		return answerTo(asked, 0, func(w *writer) {
			w.int32(2)
			w.string("a")
			w.string("b")
			writeStat(w)
		})
	case opGetData:
		return answerTo(asked, 0, func(w *writer) {
			w.string("10.0.0.1:80")
			writeStat(w)
		})
	case opPing:
		return answerTo(asked, 0, nil)
	}
	return nil
}

// Whatever a server does instead of answering, it is told, nothing of it is taken, and the next session is a good one.
func TestBadServers(t *testing.T) {
	t.Parallel()
	list := func(n int32, names ...string) func(asked []byte) []byte {
		return func(asked []byte) []byte {
			return answerTo(asked, 0, func(w *writer) {
				w.int32(n)
				for _, name := range names {
					w.string(name)
				}
				writeStat(w)
			})
		}
	}
	oneTooMany := func(asked []byte) []byte { // and no more, so that a slow machine reads it in time
		return answerTo(asked, 0, func(w *writer) {
			w.int32(100_001)
			for range 100_001 {
				w.string("abc")
			}
		})
	}
	cases := map[string]struct {
		op     int32 // 0: in place of a session
		answer func(asked []byte) []byte
		want   string
	}{
		"no session":            {0, func([]byte) []byte { return nil }, "open a session: the server ended the connection in place of a session"},
		"http":                  {0, func([]byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }, "is not ZooKeeper's protocol"},
		"an empty session":      {0, func([]byte) []byte { return []byte{0, 0, 0, 0} }, "is not ZooKeeper's protocol"},
		"a session of no time":  {0, func([]byte) []byte { return append([]byte{0, 0, 0, 36}, make([]byte, 36)...) }, "is not ZooKeeper's protocol"},
		"a long session":        {0, func([]byte) []byte { return []byte{0, 1, 0, 0} }, "is not ZooKeeper's protocol"},
		"a header cut":          {opExists, func([]byte) []byte { return []byte{0, 0, 0, 3, 1, 2, 3} }, "is not ZooKeeper's protocol"},
		"another request":       {opExists, func(asked []byte) []byte { asked[3]++; return answerTo(asked, 0, writeStat) }, "an answer to another request"},
		"a code":                {opExists, func(asked []byte) []byte { return answerTo(asked, -999, nil) }, "error -999 of ZooKeeper"},
		"a list cut":            {opGetChildren2, list(3, "a"), "is not ZooKeeper's protocol"},
		"a list of two billion": {opGetChildren2, list(1<<31-1, "a"), "over 100000 nodes: more than is taken"},
		"one too many":          {opGetChildren2, oneTooMany, "over 100000 nodes: more than is taken"},
		"a name twice":          {opGetChildren2, list(3, "b", "a", "b"), "is not ZooKeeper's protocol"},
		"a name that is a path": {opGetChildren2, list(1, "../b"), "is not ZooKeeper's protocol"},
		"data cut":              {opGetData, func(asked []byte) []byte { return answerTo(asked, 0, func(w *writer) { w.int32(90) }) }, "an answer that ends too soon"},
		"data of minus 2":       {opGetData, func(asked []byte) []byte { return answerTo(asked, 0, func(w *writer) { w.int32(-2) }) }, "an answer that ends too soon"},
		"the end in between":    {opGetData, func([]byte) []byte { return append([]byte{0, 0, 1, 0, 1, 2}, end...) }, "the connection ended in the middle of an answer"},
		"too much":              {opGetData, func([]byte) []byte { return []byte{0x3f, 0, 0, 0} }, "an answer of 1056964608 bytes, over 67108864: more than is taken"},
		"silence":               {opGetData, func([]byte) []byte { return []byte{} }, "no answer within 1.333s"},
		"silence at once":       {0, func([]byte) []byte { return []byte{} }, "open a session: no answer within 1.333"},
		"pings unanswered":      {opPing, func([]byte) []byte { return []byte{} }, "no answer within 1.333"},
		"not asked for":         {opPing, func([]byte) []byte { return answerTo([]byte{0, 0, 0, 9}, 0, nil) }, "an answer that nobody asked for"},
		"the end at rest":       {opPing, func([]byte) []byte { return nil }, "the server ended the connection (it stops, or the session has run out)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := at("zk1", "/web")
			config.Session = 2 * time.Second // what the answers say too
			config.Dial = fake(t, func(conn, frame int, asked []byte) []byte {
				if conn == 0 && (frame == 0 && c.op == 0 || frame > 0 && opOf(asked) == c.op) {
					return c.answer(asked)
				}
				return ensemble(frame, asked)
			})
			r, _ := watch(t, config)
			if c.op == opPing {
				r.want("whole [web]")
			}
			got := r.next(func(s string) bool { return s != "whole [web]" && s != "alive" }, c.want)
			if !strings.HasPrefix(got, "failed watch /web of the zookeeper zk1:2181: ") || !strings.Contains(got, c.want) {
				t.Fatalf("told %q first, want %q", got, c.want)
			}
			if name == "a list of two billion" || name == "one too many" {
				return // the watch is set, and so the session goes on until the list has changed
			}
			r.want("part web [a host=10.0.0.1 port=80 b host=10.0.0.1 port=80]")
			r.want("whole [web]")
		})
	}
}

// What one member told of is asked for at the next; once all have turned us away it is forgotten.
func TestWhatWasSeen(t *testing.T) {
	t.Parallel()
	seen := make(chan uint64, 100)
	config := at("zk1", "/web")
	config.Dial = fake(t, func(conn, frame int, asked []byte) []byte {
		if frame == 0 {
			seen <- binary.BigEndian.Uint64(asked[4:])
		}
		if conn == 1 || conn == 0 && frame > 0 && opOf(asked) == opPing {
			return nil
		}
		return ensemble(frame, asked)
	})
	r, _ := watch(t, config)
	r.want("whole [web]")
	r.next(func(s string) bool { return strings.Contains(s, "in place of a session") }, "being turned away")
	r.want("whole [web]")
	for i, want := range []uint64{0, 1, 0} {
		if got := <-seen; got != want {
			t.Errorf("session %d asks for change %d, want %d", i, got, want)
		}
	}
}

// A watch leaves no goroutine behind, wherever it is when it ends.
func TestNothingIsLeft(t *testing.T) {
	for _, stage := range []int32{0, opExists, opGetData, opPing} {
		before := runtime.NumGoroutine()
		reached := make(chan struct{}, 100)
		config := at("zk1", "/web")
		config.Dial = fake(t, func(_, frame int, asked []byte) []byte {
			if frame == 0 && stage == 0 || frame > 0 && opOf(asked) == stage {
				reached <- struct{}{}
				return []byte{}
			}
			return ensemble(frame, asked)
		})
		_, stop := watch(t, config)
		<-reached
		stop()
		limit := time.Now().Add(weirtest.Patience)
		for runtime.NumGoroutine() > before {
			if time.Now().After(limit) {
				buf := make([]byte, 64<<10)
				t.Fatalf("stage %d: goroutines are left:\n%s", stage, buf[:runtime.Stack(buf, true)])
			}
			runtime.Gosched()
		}
	}
}

// Bytes on a connection, whatever they are, end in an error or in a list, and never in the end of the program.
func FuzzSession(f *testing.F) {
	var ok []byte
	ok = append(ok, session2s()...)
	asked := []byte{0, 0, 0, 1, 0, 0, 0, opExists}
	for _, op := range []byte{opExists, opGetChildren2, opGetData, opGetData} {
		asked[7] = op
		ok = append(ok, ensemble(1, asked)...)
		asked[3]++
	}
	f.Add(ok)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := New(Config{Servers: []string{"zk1"}, Path: "/web", Dial: func(context.Context, string, string) (net.Conn, error) {
			return &tape{raw: raw}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		v := &view{source: s, sink: nothing{}, parts: map[string]*part{}}
		if _, err := v.follow(t.Context(), "zk1:2181"); err == nil || discovery.Clean(err.Error()) != err.Error() {
			t.Errorf("%q", err)
		}
	})
}

// FuzzInstance: whatever a node's data, its fields can be shown and its host and port used.
func FuzzInstance(f *testing.F) {
	for _, s := range []string{serverSet, "10.0.0.1:80", `{"a":{"b":{"c":[1,null,true]}},"node":"x"}`, `{"serviceEndpoint":1}`, "{}{}", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := readInstance("n", "/web/n", data)
		if err != nil {
			if discovery.Clean(err.Error()) != err.Error() || len(err.Error()) > 1000 {
				t.Errorf("said: %q", err)
			}
			return
		}
		if found.Fields["node"] != "n" || found.Fields["path"] != "/web/n" || checkEndpoint(found.Fields, "") != nil {
			t.Errorf("%q gave %q", data, found.Fields)
		}
		for name := range found.Fields {
			if discovery.Clean(name) != name {
				t.Errorf("a field's name: %q", name)
			}
		}
	})
}

// tape is a connection that says what is on it, and then ends.
type tape struct {
	net.Conn
	raw []byte
}

func (c *tape) Read(b []byte) (int, error) {
	if len(c.raw) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.raw)
	c.raw = c.raw[n:]
	return n, nil
}
func (c *tape) Write(b []byte) (int, error)      { return len(b), nil }
func (c *tape) Close() error                     { return nil }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

type nothing struct{}

func (nothing) Part(string, []discovery.Found) {}
func (nothing) Whole([]string)                 {}
func (nothing) Alive()                         {}
func (nothing) Failed(error)                   {}
