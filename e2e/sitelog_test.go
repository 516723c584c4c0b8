package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"weir/internal/api"
	"weir/internal/weirtest"
)

// followed is an open stream of a site's log.
type followed struct {
	t     *testing.T
	lines chan api.LogStreamLine
	stop  context.CancelFunc
}

// tailed opens the log of a site; heartbeats are left out.
func (w *world) tailed(site, query string) *followed {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, "GET", w.url+"/api/v1/sites/"+site+"/log?"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	answer, err := (&http.Client{Transport: w.client.Transport}).Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	f := &followed{t: w.t, lines: make(chan api.LogStreamLine, 10_000), stop: cancel}
	go func() {
		defer close(f.lines)
		defer func() { _ = answer.Body.Close() }()
		for in := bufio.NewScanner(answer.Body); in.Scan(); {
			var line api.LogStreamLine
			if json.Unmarshal(in.Bytes(), &line) == nil && line.Type != "heartbeat" {
				f.lines <- line
			}
		}
	}()
	return f
}

// until reads lines until one is the last that is wanted.
func (f *followed) until(last func(api.LogStreamLine) bool) (list []api.LogStreamLine) {
	f.t.Helper()
	for line := range f.lines {
		if list = append(list, line); last(line) {
			return list
		}
	}
	f.t.Fatalf("the stream ended after %+v", list)
	return nil
}

func isLive(l api.LogStreamLine) bool { return l.Type == "live" }

// paths waits for requests of these paths, each once, whoever logs it, and nothing else.
func (f *followed) paths(want ...string) (lines []*api.LogLine) {
	f.t.Helper()
	for len(lines) < len(want) {
		f.until(func(l api.LogStreamLine) bool {
			if l.Line != nil {
				lines = append(lines, l.Line)
			}
			return l.Line != nil
		})
	}
	var got []string
	for _, l := range lines {
		got = append(got, l.Path)
	}
	slices.Sort(got)
	if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		f.t.Errorf("logged %q, want %q", got, want)
	}
	return lines
}

// TestSiteLog: a site's requests are seen as they come, from all its load balancers, through whichever control plane is
// asked, of that site alone and only what was asked for; a control plane that goes takes nothing with it that is in an
// agent's memory.
func TestSiteLog(t *testing.T) {
	t.Parallel()
	all := weirtest.HAProxies(t)
	one, two := newCluster(t)
	one.origin(200, "web1")
	one.apply(one.oneZone() + `---
kind: Site
metadata: {name: shop, role: web}
spec:
  hostnames: [shop.example.com]
  addresses: [www]
  listeners: [{port: 8080}]
  backends: {default: web}
  log: {requestHeaders: {User-Agent: 64}}
`)
	one.join("lb1", "edge", "az1", all[0], "")
	second := fmt.Sprintf(`,"localRanges":{"%s/28":"%s/28"}`, one.at(16), one.at(32))
	one.join("lb2", "edge", "az1", all[1], second)
	two.converged(1)
	at := []string{one.at(17).String() + ":8080", one.at(33).String() + ":8080"}
	for _, a := range at {
		one.serves(a, "www.example.com", "/served")
	}
	get := func(lb int, host, path string) {
		t.Helper()
		if _, _, err := one.get(at[lb], host, path); err != nil {
			t.Fatal(err)
		}
	}
	// Recent ones, as they began, though the agents are connected to the other control plane.
	get(0, "www.example.com", "/first")
	get(1, "www.example.com", "/second")
	get(0, "shop.example.com", "/shop")
	var recent []string
	weirtest.Eventually(t, waitLong, func() error {
		f := two.tailed("www", "path=/&lines=2&follow=false")
		recent = nil
		for _, l := range f.until(isLive) {
			if l.Line != nil {
				recent = append(recent, l.Line.LoadBalancer+" "+l.Line.Path)
			}
		}
		if !slices.Equal(recent, []string{"lb1 /first", "lb2 /second"}) {
			return fmt.Errorf("recent %q", recent)
		}
		return nil
	})
	everything, some, shop := two.tailed("www", "lines=0"), one.tailed("www", "lines=0&path=/some&status=2xx&pool=web&client="+one.at(1).String()[:3]+".0.0.0/8"), two.tailed("shop", "lines=0")
	for _, f := range []*followed{everything, some, shop} {
		f.until(isLive)
	}
	get(0, "www.example.com", "/some/1")
	get(1, "www.example.com", "/other")
	get(1, "www.example.com", "/some/2")
	hostile(t, at[0], "GET /\x7f\x1b[2J HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n")
	hostile(t, at[0], "GET /%1b%5b2J<script> HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: \x1b]0;owned\x07<script>\r\nConnection: close\r\n\r\n")
	get(0, "shop.example.com", "/last")
	everything.paths("/some/1", "/other", "/some/2")
	lines := some.paths("/some/1", "/some/2")
	first := lines[slices.IndexFunc(lines, func(l *api.LogLine) bool { return l.Path == "/some/1" })]
	if first.LoadBalancer != "lb1" || first.Status != 200 || first.Method != "GET" || first.Host != "www.example.com" || first.Pool != "web" || first.Server != "web1" || first.Zone != "" && first.Zone != "az1" {
		t.Errorf("a line: %+v", first)
	}
	agents := ""
	for _, l := range shop.until(func(l api.LogStreamLine) bool { return l.Line != nil && l.Line.Path == "/last" }) {
		if l.Line == nil || l.Line.Host != "shop.example.com" {
			t.Errorf("of another site, or no line: %+v", l)
		}
		agents += l.Line.RequestHeaders["user-agent"]
		if strings.ContainsAny(l.Line.Path+l.Line.RequestHeaders["user-agent"], "\x1b\x07\x7f") {
			t.Errorf("what a client sent came as it was: %+v", l.Line)
		}
	}
	if !strings.Contains(agents, "<script>") {
		t.Errorf("what a hostile client says of itself is not there: %q", agents)
	}
	// The agents go to the other control plane, and so does what they are asked.
	one.stopServer()
	get(0, "www.example.com", "/meanwhile/1")
	get(1, "www.example.com", "/meanwhile/2")
	everything.paths("/meanwhile/1", "/meanwhile/2")
	get(1, "www.example.com", "/after")
	everything.paths("/after")
}

// hostile sends bytes, and reads what comes back until the end.
func hostile(t *testing.T, at, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	for in := bufio.NewReader(conn); ; {
		if _, err := in.ReadByte(); err != nil {
			return
		}
	}
}
