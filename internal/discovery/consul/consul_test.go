package consul

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestAServiceIsFollowed(t *testing.T) {
	t.Parallel()
	d := newDouble(t)
	d.put("web", 5, instance{node: "n2", id: "web", checks: []string{"serfHealth=passing"}}, instance{node: "n1", id: "web", tags: []string{"b", "a"}})
	b := watchIt(t, Config{Address: d.server.URL, Services: []string{"web"}})
	b.want("part web: n1/web ready n2/web ready", "whole: web")
	if got, want := fieldsOf(b.found[0]), "address=10.0.0.1 datacenter=dc1 health=passing id=web node=n1 nodeAddress=10.0.0.1 nodeMeta.rack=r1 port=8080 service=web tags=b,a"; got != want {
		t.Errorf("fields %s\nwant   %s", got, want)
	}

	d.put("web", 6, instance{node: "n1", id: "web", checks: []string{"serfHealth=critical", "http=passing"}})
	b.want("part web: n1/web not ready")
	// The index moves, and what is told stays: checks write what they saw.
	d.put("web", 7, instance{node: "n1", id: "web", checks: []string{"serfHealth=critical", "http=warning"}})
	b.want("alive")
	d.expire(1)
	b.want("alive")
	d.put("web", 8)
	b.want("part web:")
	if len(b.pauses) != 0 {
		t.Error("there was a pause, and nothing had failed")
	}
}

func TestHealthBecomesState(t *testing.T) {
	t.Parallel()
	for checks, want := range map[string]string{
		"":                                "passing ready ready",
		"a=passing":                       "passing ready ready",
		"a=passing b=warning":             "warning ready not ready",
		"a=critical b=warning":            "critical not ready not ready",
		"_node_maintenance=critical":      "maintenance not ready not ready",
		"_service_maintenance:w=critical": "maintenance not ready not ready",
		"_service_maintenance:w=critical x=critical": "maintenance not ready not ready",
	} {
		body := marshal(t, instance{node: "n", id: "w", checks: strings.Fields(checks)})
		got := ""
		for _, only := range []bool{false, true} {
			found, err := readHealth(body, only)
			if err != nil {
				t.Fatal(err)
			}
			got = strings.TrimSpace(got + " " + found[0].State.String())
			if only {
				got = found[0].Fields["health"] + " " + got
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", checks, got, want)
		}
	}
}

func TestNextIndex(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ asked, got, want uint64 }{
		{0, 7, 7},
		{7, 8, 8},
		{7, 7, 7},
		{7, 6, 0},
		{7, 0, 0}, // backwards
		{0, 0, 1},
		{1, 0, 1}, // never 0 out of an answer
		{1 << 63, 1<<64 - 1, 1<<64 - 1},
	} {
		if got := nextIndex(c.asked, c.got); got != c.want {
			t.Errorf("asked with %d, got %d: next %d, want %d", c.asked, c.got, got, c.want)
		}
	}
}

// The double holds the source to the indexes; here its own go every way.
func TestIndexGoesBackwards(t *testing.T) {
	t.Parallel()
	d := newDouble(t)
	d.put("web", 500, instance{node: "n1", id: "web"})
	b := watchIt(t, Config{Address: d.server.URL, Services: []string{"web"}})
	b.want("part web: n1/web ready", "whole: web")
	eventually(t, func() error { return d.hanging(1) })

	// Restored from a snapshot: nothing is newer than 500 until the wait ends.
	d.put("web", 3, instance{node: "n2", id: "web"})
	d.expire(1)
	b.want("part web: n2/web ready")
	b.want("alive") // asked without an index
	d.put("web", 4, instance{node: "n3", id: "web"})
	b.want("part web: n3/web ready")

	eventually(t, func() error { return d.hanging(1) })
	d.put("web", 0)
	d.expire(1)
	b.want("part web:", "alive")
	eventually(t, func() error { return d.hanging(1) }) // with 1
	d.put("web", 2, instance{node: "n1", id: "web"})
	b.want("part web: n1/web ready")
}

func TestConsulIsRestarted(t *testing.T) {
	t.Parallel()
	d := newDouble(t)
	d.put("web", 500, instance{node: "n1", id: "web"})
	b := watchIt(t, Config{Address: d.server.URL, Services: []string{"web"}})
	b.want("part web: n1/web ready", "whole: web")
	eventually(t, func() error { return d.hanging(1) })
	d.change(func() { d.index[pathOf("web")] = 2; d.services["web"] = []instance{{node: "n2", id: "web"}} })
	d.server.CloseClientConnections()
	b.want("part web: n2/web ready")

	hang := func(n int) {
		t.Helper()
		eventually(t, func() error {
			for len(b.pauses) > 0 {
				b.pause().over <- time.Time{} // not at the speed of the wire
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			return expect(d.waited == n, "%d questions have waited, want %d", d.waited, n)
		})
	}
	// Something between cuts what hangs, and nothing else: that is no failure.
	for i := range 20 {
		hang(i + 2)
		d.server.CloseClientConnections()
		b.want("alive")
	}
	hang(22)
	_ = d.server.Listener.Close()
	d.server.CloseClientConnections()
	b.failed("ask Consul at "+d.server.URL+" for service web: ", "connect: connection refused")
	if p := b.pause(); p.d != time.Second {
		t.Errorf("a pause of %s", p.d)
	}
}

func TestPausesGrow(t *testing.T) {
	t.Parallel()
	d := newDouble(t)
	d.put("web", 5, instance{node: "n1", id: "web"})
	d.instead = func(w http.ResponseWriter, r *http.Request) { http.Error(w, "No cluster leader", 500) }
	b := watchIt(t, Config{Address: d.server.URL, Services: []string{"web"}})
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		b.failed("HTTP 500: No cluster leader; look whether the data centre is right and its servers have a leader")
		p := b.pause()
		if p.d != want*time.Second {
			t.Fatalf("a pause of %s, want %s", p.d, want*time.Second)
		}
		if want == 60 && len(d.requests(pathOf("web"))) == 8 {
			d.change(func() { d.instead = nil })
		}
		p.over <- time.Time{}
	}
	b.want("part web: n1/web ready", "whole: web")
	eventually(t, func() error { return d.hanging(1) })
	d.change(func() {
		d.instead = func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusBadGateway) }
	})
	b.want("alive") // the wait was under way, and ended with what there was
	b.failed("HTTP 502")
	if p := b.pause(); p.d != time.Second {
		t.Errorf("the first pause is %s", p.d)
	}
}

// What moves its index with nothing new must not be asked at the speed of the wire.
func TestBusyIndex(t *testing.T) {
	t.Parallel()
	var p pace
	now := time.Unix(1e9, 0)
	for i := range 10 {
		if d := p.pause(now); d != 0 {
			t.Fatalf("answer %d: a pause of %s", i, d)
		}
	}
	for i := range 20 {
		if d := p.pause(now); d != 100*time.Millisecond {
			t.Fatalf("answer %d: a pause of %s", i, d)
		}
		now = now.Add(100 * time.Millisecond)
	}
	if d := p.pause(now.Add(time.Minute)); d != 0 {
		t.Errorf("after a rest: %s", d)
	}
}

func TestWhatIsAsked(t *testing.T) {
	t.Parallel()
	d := newDouble(t)
	d.put("a b/c", 5, instance{node: "n1", id: "web"})
	s, err := New(Config{
		Address: "https://consul.example.com/base/", Services: []string{"a"}, Datacenter: "dc2", Namespace: "ns1", Partition: "p1",
		Tags: []string{"t1", "t2"}, Filter: `Service.Meta.v != "1"`, Stale: true, Wait: 16 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.config.Clock.Chance = func() float64 { return 0.5 }
	for _, c := range []struct {
		service string
		index   uint64
		url     string
		timeout time.Duration
	}{
		{"a b/c", 0, "/v1/health/service/a%20b%2Fc?dc=dc2&filter=Service.Meta.v+%21%3D+%221%22&ns=ns1&partition=p1&stale=&tag=t1&tag=t2", 30 * time.Second},
		{"", 7, "/v1/catalog/services?dc=dc2&index=7&ns=ns1&partition=p1&stale=&wait=14s", 44*time.Second + 875*time.Millisecond},
	} {
		u, timeout := s.question(c.service, c.index)
		if got, want := u.String(), "https://consul.example.com/base"+c.url; got != want || timeout != c.timeout {
			t.Errorf("asks %s within %s\nwant %s within %s", got, timeout, want, c.timeout)
		}
	}
}

func TestServicesWithATag(t *testing.T) {
	t.Parallel()
	d := newDouble(t)
	d.put("web", 5, instance{node: "n1", id: "web", tags: []string{"Edge"}})
	d.put("db", 6, instance{node: "n1", id: "db"})
	b := watchIt(t, Config{Address: d.server.URL, Tags: []string{"edge"}})
	b.want("alive", "part web: n1/web ready", "whole: web")

	d.put("api", 7, instance{node: "n3", id: "api", tags: []string{"edge"}})
	b.want("alive", "part api: n3/api ready", "whole: api web")
	if tags := d.requests(pathOf("api"))[0].URL.Query()["tag"]; len(tags) != 1 || tags[0] != "edge" {
		t.Errorf("asked with the tags %v", tags)
	}

	// The tag is taken off: the service is still there, and not for us.
	eventually(t, func() error { return d.hanging(3) })
	d.change(func() {
		d.services["web"] = []instance{{node: "n1", id: "web"}}
		d.index[catalogue] = 8
	})
	b.want("part web:", "whole: api")
	eventually(t, func() error { return d.hanging(2) }) // nobody asks for web
	d.put("db", 9)
	b.want("alive")

	// A token that may see nothing any more makes nothing go.
	d.change(func() {
		d.header.Set("X-Consul-Results-Filtered-By-ACLs", "true")
		d.services = map[string][]instance{}
		d.index[catalogue] = 10
	})
	b.failed("ask Consul at " + d.server.URL + " for the services of its catalogue: the token may not see all of it: give one that has service:read")
	b.pause()
	d.expire(1)
	b.failed("the token may not see all of it", "service api", "the services of its catalogue")
}

func TestOneServiceFails(t *testing.T) {
	t.Parallel()
	d := newDouble(t)
	d.put("web", 5, instance{node: "n1", id: "web"})
	d.put("bad", 6, instance{node: "n1", id: "bad", checks: []string{"c=excellent"}})
	b := watchIt(t, Config{Address: d.server.URL, Services: []string{"web", "bad"}})
	const failure = `for service bad: entry 1, service ID "bad" of node "n1": check "c" has the unknown status "excellent"`
	if first := b.next(); strings.HasPrefix(first, "part web") {
		b.failed(failure)
	} else {
		b.want("part web: n1/web ready")
		b.failed(failure)
	}
	// News of the other comes, and then what still fails.
	d.put("web", 7)
	b.want("part web:")
	b.failed(failure)
	d.expire(1)
	b.failed(failure)

	d.put("bad", 8, instance{node: "n1", id: "bad"})
	b.pause().over <- time.Time{}
	b.want("part bad: n1/bad ready", "whole: bad web")
	eventually(t, func() error { return d.hanging(2) })
	d.put("web", 9, instance{node: "n1", id: "web"})
	b.want("part web: n1/web ready")
}

func TestManyServicesFail(t *testing.T) {
	t.Parallel()
	w := &watch{failing: map[string]error{}}
	for i := range 20 {
		w.failing[fmt.Sprintf("s%02d", i)] = fmt.Errorf("why %d", i)
	}
	want := "why 0\nwhy 1\nwhy 2\nand 17 more services cannot be read: s03, s04, s05, s06, s07, s08, s09, s10, s11, s12 …"
	if got := w.failure().Error(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestEndLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	d := newDouble(t)
	d.put("web", 5, instance{node: "n1", id: "web", tags: []string{"t"}})
	for _, c := range []Config{
		{Services: []string{"web"}},
		{Tags: []string{"t"}},
	} {
		c.Address = d.server.URL
		b := watchIt(t, c)
		for b.next() != "whole: web" {
		}
		eventually(t, func() error { return d.hanging(2 - len(c.Services)) })
		b.end()
		b.want("end")
		eventually(t, func() error { return d.hanging(0) })
	}
	// Also while it pauses, and while nothing answers.
	b := watchIt(t, Config{Address: "http://consul.invalid", Services: []string{"web"}, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	b.end()
	b.want("end")
	d.server.Close()
	b = watchIt(t, Config{Address: d.server.URL, Services: []string{"web"}})
	b.failed("connection refused")
	b.pause()
	b.end()
	b.want("end")
	eventually(t, func() error {
		n := runtime.NumGoroutine()
		return expect(n <= before, "%d goroutines, and %d before", n, before)
	})
}
