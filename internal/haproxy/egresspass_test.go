package haproxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// zeros are a body of so many bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) { return len(p), nil }

// own serves what a partner does that an Origin doesn't: /echo sends back what comes as it comes, with what came before it
// as headers, and a trailer; /count counts a body; /zeros sends as many bytes as asked for; /no refuses a body unread; a
// WebSocket is sent back what it says.
func own(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if r.Header.Get("Upgrade") != "" {
		w.Header().Set("X-Upgrade", r.Header.Get("Upgrade"))
	}
	switch {
	case r.Header.Get("Upgrade") == "websocket":
		webSocket(w, r.Header.Get("Sec-WebSocket-Key"))
	case strings.HasSuffix(r.URL.Path, "/echo"):
		_ = control.EnableFullDuplex()
		w.Header().Set("Trailer", "X-Sum")
		for name, values := range r.Header {
			w.Header().Set("Got-"+name, strings.Join(values, "|"))
		}
		w.Header().Set("Got-Coding", strings.Join(r.TransferEncoding, ","))
		w.Header().Set("Got-Length", strconv.FormatInt(r.ContentLength, 10))
		w.WriteHeader(200)
		_ = control.Flush()
		part := make([]byte, 1024)
		for {
			n, err := r.Body.Read(part)
			_, _ = w.Write(part[:n])
			_ = control.Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("X-Sum", "of "+r.Trailer.Get("X-Sum"))
	case r.URL.Path == "/count":
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n, err)
	case r.URL.Path == "/zeros":
		w.Header().Set("Content-Length", r.URL.RawQuery)
		n, _ := strconv.ParseInt(r.URL.RawQuery, 10, 64)
		_, _ = io.Copy(w, zeros(n))
	case r.URL.Path == "/no":
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}
}

// serveAt runs a server of a handler.
func serveAt(t *testing.T, addr string, handler http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(l) }() // until Close
	t.Cleanup(func() { server.Close() })
}

// startCalls is a gate through which myback, at .50, may call all services of example at all levels.
func startCalls(t *testing.T, h weirtest.HAProxy, edit ...func(*ir.Node)) *gate {
	t.Helper()
	return startGate(t, h, func(n *ir.Node) {
		calling(hostsOf(n), weir.EgressRule{Clients: []string{"myback-prod"}, SLAs: []string{"high", "low"}})(n)
		for _, f := range edit {
			f(n)
		}
	})
}

// begin opens a connection, writes the head of a call to a service, and gives what reads the answers.
func (g *gate) begin(service, line string, headers ...string) (net.Conn, *bufio.Reader) {
	g.t.Helper()
	conn := g.dial(50, 8080)
	_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
	method, rest, _ := strings.Cut(line, " ")
	says(conn, method+" /myback/prod/example/prod/"+service+rest+" HTTP/1.1\r\nHost: egress.inside\r\n"+strings.Join(append(headers, "", ""), "\r\n"))
	return conn, bufio.NewReader(conn)
}

// wholeAnswer reads the next answer and gives it with its body.
func wholeAnswer(t *testing.T, in *bufio.Reader) (*http.Response, string) {
	t.Helper()
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer, string(body)
}

// What an application and a partner say to each other arrives as it was said, in whatever way it is said.
func TestCallsPassUnchanged(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startCalls(t, h)
		serveAt(t, g.addr(37, 9000), own)

		// SOAP, as applications of twenty years speak it.
		envelope := `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>é</soap:Body></soap:Envelope>`
		conn, in := g.begin("own", "POST /high/echo", "Content-Type: text/xml; charset=utf-8", `SOAPAction: "urn:example#do"`, fmt.Sprint("Content-Length: ", len(envelope)), "User-Agent: Axis/1.4", "Cookie: a=b; c=d", "Authorization: Basic eDp5")
		says(conn, envelope)
		if answer, body := wholeAnswer(t, in); body != envelope || answer.Header.Get("Got-Content-Type") != "text/xml; charset=utf-8" || answer.Header.Get("Got-Soapaction") != `"urn:example#do"` ||
			answer.Header.Get("Got-Length") != fmt.Sprint(len(envelope)) || answer.Header.Get("Got-User-Agent") != "Axis/1.4" || answer.Header.Get("Got-Cookie") != "a=b; c=d" || answer.Header.Get("Got-Authorization") != "Basic eDp5" {
			t.Errorf("SOAP: %v %q", answer.Header, body)
		}
		// A second call by the same connection, in pieces, with a trailer each way.
		says(conn, "PATCH /myback/prod/example/prod/own/low/echo HTTP/1.1\r\nHost: egress.inside\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"one", "two"} {
			says(conn, "3;extension=1\r\n"+word+"\r\n")
			if !hears(bufio.NewReader(answer.Body), word) {
				t.Errorf("no answer to %q", word)
			}
		}
		says(conn, "0\r\nX-Sum: five\r\n\r\n")
		if rest, err := io.ReadAll(answer.Body); len(rest) > 0 || err != nil || answer.Trailer.Get("X-Sum") != "of five" || answer.Header.Get("Got-Coding") != "chunked" {
			t.Errorf("in pieces: %q, %v, %v, %v", rest, err, answer.Header, answer.Trailer)
		}

		// Who asks first is told before it sends its body, by the partner.
		conn, in = g.begin("own", "POST /high/count", "Content-Length: 5", "Expect: 100-continue")
		if answer, _ := wholeAnswer(t, in); answer.StatusCode != 100 {
			t.Errorf("expecting: %d", answer.StatusCode)
		}
		says(conn, "hello")
		if answer, body := wholeAnswer(t, in); answer.StatusCode != 200 || body != "5 <nil>\n" {
			t.Errorf("expected: %d %q", answer.StatusCode, body)
		}
		_, in = g.begin("own", "POST /high/no", "Content-Length: 5", "Expect: 100-continue")
		if answer, _ := wholeAnswer(t, in); answer.StatusCode != 413 {
			t.Errorf("expecting what is refused: %d", answer.StatusCode)
		}

		// Over HTTP/2, which the partner doesn't hear of.
		body, out := io.Pipe()
		client := g.client2From(50)
		defer client.CloseIdleConnections()
		request, err := http.NewRequest("POST", "http://egress.inside/myback/prod/example/prod/own/high/echo", body)
		if err != nil {
			t.Fatal(err)
		}
		request.Trailer = http.Header{"X-Sum": {"six"}}
		if answer, err = client.Do(request); err != nil {
			t.Fatal(err)
		}
		says(out, "hello")
		if !hears(bufio.NewReader(answer.Body), "hello") {
			t.Error("no answer over HTTP/2")
		}
		out.Close()
		if _, err := io.ReadAll(answer.Body); err != nil || answer.Trailer.Get("X-Sum") != "of six" || answer.ProtoMajor != 2 {
			t.Errorf("over HTTP/2: %v, %v, %+v", err, answer.Trailer, answer)
		}
		answer.Body.Close()

		// Addresses as long and as odd as they may be.
		for _, rest := range []string{"?a=%2F&a=/../&b=%C3%A9&c=//;d", "/?", "/%E2%82%AC/%00%0d%0a", "/a;b=c,d/@:$&'()*+!=~", "/%2F%2f//", "/?" + strings.Repeat("long=1&", 1000)} {
			before := len(g.origins[33].Requests(""))
			_, in := g.begin("www", "GET /high"+rest)
			want := rest
			if rest[0] != '/' {
				want = "/" + rest
			}
			if answer, _ := wholeAnswer(t, in); answer.StatusCode != 200 || g.origins[33].Requests("")[before].URI != want {
				t.Errorf("%.80q: %d, %+v", rest, answer.StatusCode, g.origins[33].Requests("")[before:])
			}
		}
	})
}

// Names of headers are written as people do, both ways: not all who speak to each other know that case is nothing.
func TestCallsHaveUsualNames(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startCalls(t, h)
		heads := make(chan string, 1)
		meets(t, g.addr(37, 9000), nil, func(conn net.Conn) {
			defer conn.Close()
			var head strings.Builder
			for in := bufio.NewReader(conn); !strings.HasSuffix(head.String(), "\r\n\r\n"); {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				head.WriteString(line)
			}
			heads <- head.String()
			says(conn, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-type: text/xml\r\nset-cookie: a=b\r\nx-own: x\r\n\r\n")
		})
		conn, in := g.begin("own", "POST /high/", `SOAPAction: "x"`, "Content-Length: 0", "user-agent: Axis/1.4", "X-Own: x", "Connection: close")
		defer conn.Close()
		answer, _ := io.ReadAll(in)
		asked := <-heads
		for _, line := range []string{"\r\nHost: own.example.com\r\n", "\r\nSOAPAction: \"x\"\r\n", "\r\nContent-Length: 0\r\n", "\r\nUser-Agent: Axis/1.4\r\n", "\r\nx-own: x\r\n"} {
			if !strings.Contains(asked, line) {
				t.Errorf("no %q in %q", line, asked)
			}
		}
		for _, line := range []string{"\r\nContent-Length: 0\r\n", "\r\nContent-Type: text/xml\r\n", "\r\nSet-Cookie: a=b\r\n", "\r\nx-own: x\r\n"} {
			if !strings.Contains(string(answer), line) {
				t.Errorf("no %q in %q", line, answer)
			}
		}
	})
}

// Partners see who the application says it is, and nothing of where it is.
func TestCallsTellNothingOfTheInside(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startCalls(t, h)
		kept := []string{"X-Request-Id", "Traceparent", "User-Agent", "Origin", "Referer", "X-Client-Id", "X-Forward", "Max-Forwards", "Psu-Ip-Address", "X-Ip", "X-Api-Key", "Prefer"}
		gone := []string{
			"X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X_Forwarded_For", "X-Original-Forwarded-For", "Forwarded", "Forwarded-For", "Via",
			"X-Real-Ip", "X-Client-Ip", "Client-Ip", "True-Client-Ip", "X-Cluster-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Envoy-External-Address", "X-Azure-Clientip", "X-ProxyUser-Ip", "Wl-Proxy-Client-Ip", "X_Real_Ip",
			"Proxy-Authorization", "Proxy-Connection", "Proxy", "Keep-Alive",
			"X-Original-Url", "X-Rewrite-Url", "X_Original_Uri", "X-Original-Host", "X-Host", "X-Http-Host-Override",
		}
		var lines []string
		for _, name := range append(kept, gone...) {
			lines = append(lines, name+": 10.1.2.3")
		}
		lines = append(lines, "Connection: X-Api-Key, Keep-Alive")
		if status, all := g.ask(50, "egress.inside", "/myback/prod/example/prod/www/high/", lines...); status != 200 {
			t.Fatal(all)
		}
		seen := g.origins[33].Requests("")[0].Header
		for _, name := range kept {
			if seen.Get(name) != "10.1.2.3" {
				t.Errorf("%s is %q", name, seen.Get(name))
			}
			seen.Del(name)
		}
		if len(seen) > 0 {
			t.Errorf("the partner saw %v", seen)
		}
	})
}

// A WebSocket is silent as long as the group's Tuning lets it, whatever its level; nothing else is a way to speak to the
// partner of what no rule lets through.
func TestCallsByWebSocket(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		for _, tunnel := range []time.Duration{time.Hour, 300 * time.Millisecond} {
			g := startCalls(t, h, func(n *ir.Node) { n.Tuning.Timeouts.Tunnel = weir.Duration(tunnel) })
			serveAt(t, g.addr(37, 9000), own)
			conn, in := g.begin("own", "GET /low/chat", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
			answer, err := http.ReadResponse(in, nil)
			if err != nil || answer.StatusCode != 101 || answer.Header.Get("Upgrade") != "websocket" {
				t.Fatalf("%+v, %v", answer, err)
			}
			word := "\x81\x85mask!!!!!"
			says(conn, word)
			if !hears(in, word) {
				t.Errorf("no answer to %q", word)
			}
			if tunnel < time.Second {
				if _, err := in.ReadByte(); err != io.EOF {
					t.Errorf("a silent one: %v", err)
				}
				continue
			}
			// As long as the level lets a partner be silent otherwise.
			g.origins[33].SetDelay(weirtest.Patience)
			_, slow := g.begin("www", "GET /low/")
			if answer, _ := wholeAnswer(t, slow); answer.StatusCode != 504 {
				t.Errorf("a slow call: %d", answer.StatusCode)
			}
			says(conn, word)
			if !hears(in, word) {
				t.Errorf("no answer to %q after a while", word)
			}
			for _, protocol := range []string{"h2c", "websocket, h2c", "h2c, websocket", "TLS/1.0", "tcp"} {
				_, in := g.begin("own", "GET /high/echo", "Upgrade: "+protocol, "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
				answer, _ := wholeAnswer(t, in)
				for _, name := range []string{"X-Upgrade", "Got-Upgrade", "Got-Http2-Settings"} {
					if v := answer.Header.Get(name); v != "" {
						t.Errorf("asked for %s: %d, %s %q", protocol, answer.StatusCode, name, v)
					}
				}
			}
		}
	})
}

// Bodies of any length stream both ways, and take no memory of HAProxy's.
func TestCallsOfAnyLength(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startCalls(t, h)
		serveAt(t, g.addr(37, 9000), own)
		const length = 1 << 30
		began := time.Now()
		before := g.most()
		done := make(chan error)
		go func() {
			conn, in := g.begin("own", "POST /high/count", fmt.Sprint("Content-Length: ", length))
			go func() { _, _ = io.Copy(conn, zeros(length)) }()
			_, body := wholeAnswer(t, in)
			if want := fmt.Sprintln(length, error(nil)); body != want {
				done <- fmt.Errorf("sent %d bytes, of which came %s", length, body)
				return
			}
			done <- nil
		}()
		go func() {
			_, in := g.begin("own", fmt.Sprint("GET /high/zeros?", length))
			answer, err := http.ReadResponse(in, nil)
			if err == nil {
				defer answer.Body.Close()
				var n int64
				if n, err = io.Copy(io.Discard, answer.Body); err == nil && n != length {
					err = fmt.Errorf("%d bytes came", n)
				}
			}
			done <- err
		}()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		// Of one that says it has 10 GB and goes away, what has come is passed on, and the end, too.
		_, in := g.begin("own", "GET /high/zeros?10000000000")
		answer, err := http.ReadResponse(in, nil)
		if err != nil || answer.ContentLength != 10_000_000_000 {
			t.Fatalf("%+v, %v", answer, err)
		}
		if n, err := io.CopyN(io.Discard, answer.Body, 64<<20); err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		t.Logf("took %v, memory grew from %d to %d KiB", time.Since(began), before, g.most())
		if grew := g.most() - before; grew > 32<<10 {
			t.Errorf("HAProxy's memory grew by %d KiB", grew)
		}
	})
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// most gives the most memory that HAProxy's worker has had, in KiB.
func (g *gate) most() int {
	g.t.Helper()
	var pid string
	for line := range strings.Lines(g.tell("run/admin.sock", "show info")) {
		if v, is := strings.CutPrefix(line, "Pid: "); is {
			pid = strings.TrimSpace(v)
		}
	}
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		g.t.Fatal(err)
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(highWater.FindSubmatch(text)[1])))
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}
