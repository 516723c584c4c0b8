package accesslog

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"weir/internal/weirtest"
)

func TestHAProxyEveryRequestCountsOnce(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		addr := weirtest.Addr(t)
		r, token := receiver(t, addr+":0", bufferSize)
		p := startHAProxy(t, h, addr, r, token)
		origin := weirtest.NewOrigin(t, p.at(originPort))
		origin.SetStatus("/gone", 404)
		origin.SetStatus("/api/broken", 500)

		for range 20 {
			ask(t, p.at(plainPort), get("www.example.com", "/fine"))
			ask(t, p.at(plainPort), get("SHOP.example.com:8001", "/fine?secret=1"))
		}
		for range 7 {
			ask(t, p.at(plainPort), get("www.example.com", "/gone"))
		}
		for range 3 {
			ask(t, p.at(plainPort), get("www.example.com", "/api/broken"))
			ask(t, p.at(plainPort), get("unknown.example.org", "/"))
			ask(t, p.at(tcpPort), get("www.example.com", "/fine"))
		}
		ask(t, p.at(plainPort), get("www.example.com", "/denied"))
		ask(t, p.at(plainPort), get("www.example.com", "/dead"))
		ask(t, p.at(plainPort), "BRE\"W / HTTP/1.1\r\n\r\n")     // counts as 400
		ask(t, p.at(proxyPort), get("www.example.com", "/fine")) // no PROXY header
		ask(t, p.at(tlsPort), get("www.example.com", "/fine"))   // no TLS
		askTLS(t, p.at(tlsPort), get("www.example.com", "/fine"))

		c := arrived(t, r, 62)
		if c.Foreign+c.Malformed+c.Lost+c.Overflowed != 0 || c.ConnectionErrors != 2 {
			t.Errorf("%+v, last malformed: %s", c, r.Malformed())
		}
		for key, want := range map[Key][classes]uint64{
			{"www", "web", "az1"}:     {2: 21, 4: 7, 5: 3},
			{"shop", "web", "az1"}:    {2: 20},
			{"www", "", "az1"}:        {4: 1},
			{"www", "dead", "az1"}:    {5: 1},
			{"", "", ""}:              {4: 4},
			{"ldap", "stream", "az2"}: {0: 3},
		} {
			s := c.Get(key)
			for class, n := range want {
				if got := s.Classes[class].Requests; got != n {
					t.Errorf("%+v: %d of class %s, want %d", key, got, ClassName(class), n)
				}
			}
		}
		if len(c.Series) != 6 {
			t.Errorf("%d series: %+v", len(c.Series), c.Series)
		}
		if dead := c.Get(Key{"www", "dead", "az1"}); dead.Errors != (Errors{Server: 1}) || dead.Retries == 0 {
			t.Errorf("a dead server: %+v, %d retries", dead.Errors, dead.Retries)
		}
		if denied := c.Get(Key{"www", "", "az1"}); denied.Errors != (Errors{Client: 1}) {
			t.Errorf("a denied request: %+v", denied.Errors)
		}
		if in, out := c.Get(Key{"ldap", "stream", "az2"}).Bytes(); in == 0 || out == 0 {
			t.Errorf("tcp: %d bytes in, %d out", in, out)
		}
		if shop := r.Recent(Filter{Site: "shop"}, 1)[0]; shop.Host != "SHOP.example.com:8001" || shop.Path != "/fine" ||
			shop.Server != "one" || shop.Method != "GET" || shop.Version != "HTTP/1.1" || shop.Client != "127.0.0.1" {
			t.Errorf("entry %+v", shop)
		}
		if api := r.Recent(Filter{Site: "www", Status: 500}, 1)[0]; api.Route != "www/api" {
			t.Errorf("entry %+v", api)
		}
		if secure := r.Recent(Filter{Site: "www", Status: 200}, 1)[0]; secure.TLSVersion != "TLSv1.3" || secure.TLSCipher == "" {
			t.Errorf("entry %+v", secure)
		}
	})
}

func askTLS(t testing.TB, addr, request string) {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test's own certificate
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
}

// TestHAProxyHostileRequests sends what HAProxy lets through, and more: every request must
// come as one readable line, whatever is in it.
func TestHAProxyHostileRequests(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		addr := weirtest.Addr(t)
		r, token := receiver(t, addr+":0", bufferSize)
		p := startHAProxy(t, h, addr, r, token)
		weirtest.NewOrigin(t, p.at(originPort))
		random := rand.New(rand.NewPCG(7, 7))
		sent, accepted := uint64(0), 0
		for range 150 {
			for _, port := range []int{plainPort, unsafePort} {
				if hostileRequest(t, p.at(port), random) == 200 {
					accepted++
				}
				sent++
			}
		}
		sent += hostileHTTP2(t, p.at(h2Port), random, 150)
		long := strings.Repeat("\"\\\x7f", 1000)
		ask(t, p.at(unsafePort), "GET /"+long+" HTTP/1.1\r\nHost: h\r\nUser-Agent: "+long+"\r\nX-Site: "+long+"\r\nConnection: close\r\n\r\n")

		c := arrived(t, r, sent+1)
		if c.Malformed+c.Foreign+c.Lost != 0 {
			t.Errorf("%d malformed, %d foreign, %d lost; last malformed: %q", c.Malformed, c.Foreign, c.Lost, r.Malformed())
		}
		if accepted < 50 {
			t.Errorf("HAProxy accepted only %d: the test shows little", accepted)
		}
		for content := r.recent.copy(); len(content) > 0; {
			var line []byte
			if line, content = split(content); !json.Valid(append([]byte("{"), line...)) {
				t.Errorf("no JSON: %q", line)
			}
		}
	})
}

// hostileText returns text with what may break out of a JSON string, but no line end and no
// NUL, which end the request.
func hostileText(random *rand.Rand, n int) string {
	parts := []string{
		`"`, `\`, `\\`, `\"`, `","k":"`, `\u0000`, `{`, `}`, `|`, `#22`, `%22`, `%`, `'`, "é", "\xff", "\xc3", "\xed\xa0\x80",
		"\x7f", "😀", "x", "/", "?", "<", "&", "\u2028",
	}
	var b strings.Builder
	for range random.IntN(n) {
		b.WriteString(parts[random.IntN(len(parts))])
	}
	return b.String()
}

func hostileRequest(t *testing.T, addr string, random *rand.Rand) int {
	method, path, host, agent, site := "GET", "/", "www.example.com", "curl", "www"
	switch random.IntN(5) {
	case 0:
		method = "G" + hostileText(random, 4)
	case 1:
		path = "/" + hostileText(random, 60)
	case 2:
		host = hostileText(random, 10)
	default:
		agent, site = hostileText(random, 40)+"\t\x01"[:random.IntN(3)], hostileText(random, 20)
	}
	return ask(t, addr, method+" "+path+" HTTP/1.1\r\nHost: "+host+"\r\nUser-Agent: "+agent+
		"\r\nX-Site: "+site+"\r\nConnection: close\r\n\r\n")
}

// hostileHTTP2 sends n requests one after the other with raw frames and returns how many
// HAProxy took for a request, and so has to log: those that it answered.
func hostileHTTP2(t *testing.T, addr string, random *rand.Rand, n int) uint64 {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(c, c)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var answered uint64
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for i := range n {
		block.Reset()
		for _, f := range [][2]string{
			{":method", "GET"},
			{":scheme", "http"},
			{":path", "/" + hostileText(random, 30)},
			{":authority", "h"},
			{"user-agent", hostileText(random, 40)},
			{"x-site", hostileText(random, 20)},
		} {
			_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		id := uint32(2*i + 1)
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		if answeredHTTP2(t, framer, id) {
			answered++
		}
	}
	if answered == 0 {
		t.Error("HAProxy answered no HTTP/2 request: the test shows nothing")
	}
	return answered
}

// answeredHTTP2 reads to the end of a stream and tells whether it had an answer.
func answeredHTTP2(t *testing.T, framer *http2.Framer, id uint32) bool {
	t.Helper()
	answered := false
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := frame.(*http2.SettingsFrame); ok && !s.IsAck() {
			if err := framer.WriteSettingsAck(); err != nil {
				t.Fatal(err)
			}
		}
		if frame.Header().StreamID != id {
			continue
		}
		switch f := frame.(type) {
		case *http2.RSTStreamFrame:
			return answered
		case *http2.HeadersFrame:
			answered = true
			if f.StreamEnded() {
				return true
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				return answered
			}
		}
	}
}

// TestHAProxyStalledReader holds the reader while requests come: with a buffer of the usual
// size nothing is lost, with a tiny one every loss is counted, and HAProxy never waits.
func TestHAProxyStalledReader(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		for _, buffer := range []int{bufferSize, 8 << 10} {
			t.Run(fmt.Sprint(buffer), func(t *testing.T) {
				addr := weirtest.Addr(t)
				r, token := receiver(t, addr+":0", buffer)
				p := startHAProxy(t, h, addr, r, token)
				sent := uint64(1000)
				r.mu.Lock() // the reader stops at its next line
				for range sent {
					if status := ask(t, p.at(unsafePort), get("h", "/")); status != 200 {
						t.Errorf("HAProxy answers %d while the reader is stalled", status)
					}
				}
				r.mu.Unlock()
				c := eventually(t, r, func(c Counts) error {
					came := c.Get(Key{}).Requests()
					if came+c.Lost == sent {
						return nil
					}
					ask(t, p.at(unsafePort), get("h", "/")) // losses show by the lines after them
					sent++
					return fmt.Errorf("%d counted and %d lost of %d", came, c.Lost, sent-1)
				})
				const enough = 4 << 20 // for the lines above, as the kernel accounts them
				if r.Buffer() >= enough && c.Lost != 0 || r.Buffer() < 64<<10 && c.Lost == 0 {
					t.Errorf("%d lost with a buffer of %d", c.Lost, r.Buffer())
				}
			})
		}
	})
}

// TestHAProxyReload goes through reloads under traffic: counts go on, nothing is lost or
// counted twice though two processes count their lines from 0.
func TestHAProxyReload(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		addr := weirtest.Addr(t)
		r, token := receiver(t, addr+":0", bufferSize)
		p := startHAProxy(t, h, addr, r, token, "-W")
		workers := map[uint32]bool{}
		total := uint64(0)
		for reload := range 3 {
			if reload > 0 {
				if err := p.process.Signal(syscall.SIGUSR2); err != nil {
					t.Fatal(err)
				}
			}
			for len(workers) <= reload { // until the new worker has answered
				ask(t, p.at(unsafePort), get("h", "/"))
				total++
				if c := counted200(t, r, total); c.Lost != 0 {
					t.Fatalf("counted %+v", c)
				}
				workers[r.Recent(Filter{Status: 200}, 1)[0].PID] = true
			}
		}
		const frontends, reloads = 5, 2
		c := eventually(t, r, func(c Counts) error {
			if c.Notices != reloads*frontends {
				return fmt.Errorf("%d notices of stopped frontends, want %d", c.Notices, reloads*frontends)
			}
			return nil
		})
		if c.Lost+c.Malformed+c.Foreign != 0 {
			t.Errorf("counted %+v", c)
		}
	})
}

// counted200 waits until so many requests have been counted.
func counted200(t *testing.T, r *Receiver, n uint64) Counts {
	t.Helper()
	return eventually(t, r, func(c Counts) error {
		if got := c.Get(Key{}).Classes[2].Requests; got != n {
			return fmt.Errorf("%d requests counted, want %d: %+v", got, n, c)
		}
		return nil
	})
}
