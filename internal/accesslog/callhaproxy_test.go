package accesslog

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// partner answers calls over TLS after it has waited: before the handshake, and before each answer.
type partner struct {
	before, answer time.Duration
	silent, once   bool // breaks off in place of an answer, or of the second one
}

func (p partner) serve(t *testing.T, addr string, pair tls.Certificate) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.talk(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}}))
		}
	}()
}

func (p partner) talk(conn *tls.Conn) {
	defer conn.Close()
	time.Sleep(p.before)
	requests := bufio.NewReader(conn)
	for answered := 0; ; {
		line, err := requests.ReadString('\n')
		if err != nil || p.silent || p.once && answered > 0 {
			return
		}
		if strings.TrimSpace(line) == "" {
			time.Sleep(p.answer)
			answered++
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

const callConfiguration = `
global
  nbthread 1
defaults base
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 1s
  retries 0
frontend calls from base
  bind ADDR:8001
  LOG
  log-format 'FORMAT'
  capture request header Host len 255
  http-request set-var(txn.route) str(out)
  http-request set-var(txn.eg.client) str(myback)
  http-request set-var(txn.eg.by) str(r1)
  use_backend %[path,field(4,/)]
backend slow from base
  http-reuse always
  server s ADDR:8021 ssl verify none
backend stranger from base
  server s ADDR:8021 ssl verify required ca-file CA
backend breaks from base
  server s ADDR:8022 ssl verify none
backend hangs from base
  server s ADDR:8023 ssl verify none
backend once from base
  http-reuse always
  server s ADDR:8025 ssl verify none
backend gone from base
  server s ADDR:8024 ssl verify none
backend nobody from base
`

// TestHAProxyTellsOfCalls is what HAProxy can tell at the end of a call: its time to connect is with TLS, which the kernel's
// own figure of the way tells apart; the certificate that a partner showed, where the handshake was well, whatever became of
// the call; the address; and why there was no connection.
func TestHAProxyTellsOfCalls(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		addr := weirtest.Addr(t)
		r, token := receiver(t, addr+":0", bufferSize)
		dir := weirtest.TempDir(t)
		own := selfSigned(t)
		pair, err := tls.X509KeyPair(own, own)
		if err != nil {
			t.Fatal(err)
		}
		const slow = 200 * time.Millisecond
		partner{before: slow, answer: 50 * time.Millisecond}.serve(t, addr+":8021", pair)
		partner{silent: true}.serve(t, addr+":8022", pair)
		partner{once: true}.serve(t, addr+":8025", pair)
		partner{answer: time.Minute}.serve(t, addr+":8023", pair)
		config, ca := filepath.Join(dir, "haproxy.cfg"), filepath.Join(dir, "ca.pem")
		text := strings.NewReplacer("ADDR", addr, "CA", ca, "LOG", LogTarget(r.Addr()),
			"FORMAT", strings.TrimSuffix(HTTPFormat(token), "}")+CallItems+"}").Replace(callConfiguration)
		for path, content := range map[string][]byte{config: []byte(text), ca: selfSigned(t)} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Check(config); err != nil {
			t.Fatal(err)
		}
		weirtest.Command(t, h.Path, "-db", "-f", config)
		weirtest.Eventually(t, patience, func() error {
			c, err := net.Dial("tcp", addr+":8001")
			if err != nil {
				return err
			}
			return c.Close()
		})
		asked := 0
		last := func(service string) Line {
			t.Helper()
			asked++
			ask(t, addr+":8001", get("egress.inside", fmt.Sprintf("/myback/prod/%s/prod/www/high/call-%d/", service, asked)))
			return lineOf(t, r, fmt.Sprint("call-", asked))
		}

		l := last("slow")
		if l.Status != 200 || l.Timers.Connect < slow.Milliseconds() || l.WayUS < 0 || l.WayUS > slow.Microseconds()/2 || l.Reused {
			t.Errorf("a handshake of %s: connected in %d ms, the way is %d µs: %+v", slow, l.Timers.Connect, l.WayUS, l.Timers)
		}
		until, err := time.Parse(untilForm, string(l.Until))
		if err != nil || !until.Equal(pair.Leaf.NotAfter) || string(l.At) != addr+":8021" || string(l.Caller) != "myback" || string(l.By) != "r1" {
			t.Errorf("shown until %s, want %s; at %s, by %s, %s: %v", until, pair.Leaf.NotAfter, l.At, l.Caller, l.By, err)
		}
		if l = last("slow"); !l.Reused || l.Timers.Connect != 0 || len(l.Until) == 0 {
			t.Errorf("over the same connection: %t, connected in %d ms, shown until %s", l.Reused, l.Timers.Connect, l.Until)
		}
		for _, test := range []struct {
			service string
			fault   Faults
			until   bool
			unmade  string
			at      string
		}{
			{"stranger", Faults{Partner: 1}, false, "certificate verify failed", ":8021"},
			{"breaks", Faults{Partner: 1}, true, "", ":8022"},
			{"hangs", Faults{Partner: 1}, true, "", ":8023"},
			{"gone", Faults{Partner: 1}, false, "", ":8024"},
			{"nobody", Faults{Weir: 1}, false, "", ""},
		} {
			l := last(test.service)
			var c Call
			c.count(&l)
			if c.Faults != test.fault || (len(l.Until) > 0) != test.until || !strings.Contains(string(l.unmade()), test.unmade) || !strings.HasSuffix(string(l.At), test.at) {
				t.Errorf("%s: %+v, shown until %q, unmade %q, at %q (%s %d)", test.service, c.Faults, l.Until, l.unmade(), l.At, l.Termination, l.Status)
			}
		}
		// A call over a kept connection that the partner closes then has no answer and no line.
		last("once")
		if status := ask(t, addr+":8001", get("egress.inside", "/myback/prod/once/prod/www/high/unheard/")); status != 0 {
			t.Errorf("a call whose connection was closed was answered %d", status)
		}
		last("slow") // its line comes after
		if lines := r.Recent(Filter{Path: "/myback/prod/once/"}, 10); len(lines) != 1 {
			t.Errorf("it is logged: %+v", lines)
		}
		// Whoever ends a call whose client has left, it is not Weir: 3.2 waits for the partner all the same.
		conn, err := net.Dial("tcp", addr+":8001")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, strings.Replace(get("egress.inside", "/myback/prod/hangs/prod/left/high/"), "GET", "PUT", 1))
		_ = conn.Close()
		l = lineOf(t, r, "left")
		if client, weir, theirs := l.fault(); weir || client == theirs {
			t.Errorf("a client that left: %s", l.Termination)
		}
		if c := r.Snapshot(); c.Malformed > 0 {
			t.Errorf("%d malformed: %s", c.Malformed, r.Malformed())
		}
	})
}

// lineOf waits for a call whose path has a word, and gives its line.
func lineOf(t *testing.T, r *Receiver, word string) (l Line) {
	t.Helper()
	weirtest.Eventually(t, patience, func() error {
		r.mu.Lock()
		content := r.recent.copy()
		r.mu.Unlock()
		var found []byte
		for len(content) > 0 {
			var text []byte
			text, content = split(content)
			if strings.Contains(string(text), "/"+word+"/") {
				found = text
			}
		}
		if found == nil {
			return fmt.Errorf("no line of %s", word)
		}
		_, err := l.parse(found)
		return err
	})
	return l
}
