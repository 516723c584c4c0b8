package link

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// beside makes a second control plane of the same store, at another address.
func (w *world) beside() *world {
	w.t.Helper()
	other := &world{t: w.t, reg: w.reg, keys: w.keys, ca: w.ca, opts: w.opts}
	other.addr = netip.AddrPortFrom(netip.MustParseAddr(weirtest.Addr(w.t)), 8443)
	other.url = "https://" + other.addr.String()
	other.start()
	w.t.Cleanup(func() { other.stop() })
	return other
}

func (w *world) shows() (secrets.ClientConfig, error) {
	pair, err := w.ca.IssueControlPlane("other")
	return secrets.ClientConfig{Trust: w.ca.Trust(), Certificate: func() *tls.Certificate { return &pair }, Now: w.now}, err
}

// reported waits until a hub knows a load balancer's report of a message.
func reported(t *testing.T, h *Hub, name, message string) {
	t.Helper()
	weirtest.Eventually(t, patience, func() error {
		r, ok := h.Reports().Get(name)
		if !ok || r.Message != message {
			return fmt.Errorf("%s: known %t, message %q, wanted %q", name, ok, r.Message, message)
		}
		return nil
	})
}

// What agents report to one control plane the others know, also those that come later, and whichever the agent
// goes to next.
func TestControlPlanesTellEachOther(t *testing.T) {
	t.Parallel()
	one := newWorld(t)
	two := one.beside()
	for _, w := range []*world{one, two} {
		w.set("edge", 1, nil, "lb1", "lb2")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	post := func(w *world, name string, p statusPost) {
		t.Helper()
		if !w.hub.reports.put(name, p, w.now()) {
			t.Fatalf("%s: not taken", name)
		}
	}
	pool := func(names ...string) map[string]map[string]ServerHealth {
		all := map[string]map[string]ServerHealth{}
		for _, n := range names {
			all[n] = map[string]ServerHealth{"s1": {State: Up}}
		}
		return all
	}
	post(one, "lb1", statusPost{Seq: "a1", Report: Report{Message: "before anybody listened", Servers: pool("web", "api")}})
	go two.hub.Listen(ctx, one.url, two.shows)
	go one.hub.Listen(ctx, two.url, one.shows)
	reported(t, two.hub, "lb1", "before anybody listened")

	post(one, "lb1", statusPost{Base: "a1", Seq: "a2", Gone: []string{"api"}, Report: Report{Message: "a step", Servers: pool("new")}})
	reported(t, two.hub, "lb1", "a step")
	r, _ := two.hub.Reports().Get("lb1")
	if len(r.Servers) != 2 || r.Servers["web"] == nil || r.Servers["new"] == nil {
		t.Errorf("servers %v", r.Servers)
	}
	for i := range 200 { // many, of which some are passed over
		post(one, "lb1", statusPost{Base: fmt.Sprint("a", i+2), Seq: fmt.Sprint("a", i+3), Report: Report{Message: fmt.Sprint("step ", i), Servers: pool(fmt.Sprint("p", i))}})
	}
	reported(t, two.hub, "lb1", "step 199")
	if r, _ := two.hub.Reports().Get("lb1"); len(r.Servers) != 202 {
		t.Errorf("%d pools", len(r.Servers))
	}
	// The agent goes to the other one, and its chain of reports goes on.
	post(two, "lb1", statusPost{Base: "a202", Seq: "a203", Report: Report{Message: "moved"}})
	reported(t, one.hub, "lb1", "moved")
	post(one, "lb2", statusPost{Seq: "b1", Report: Report{Message: "another agent"}})
	reported(t, two.hub, "lb2", "another agent")

	// One that starts anew hears it all, also what it was told itself before.
	two.stop()
	two.start()
	two.set("edge", 1, nil, "lb1", "lb2")
	go two.hub.Listen(ctx, one.url, two.shows)
	reported(t, two.hub, "lb2", "another agent")
}

// Only control planes are told; an agent is not, nor who shows nothing.
func TestReportsAreForControlPlanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("edge", 1, nil, "lb1")
	dir := w.enrol("lb1")
	for who, dir := range map[string]string{"an agent": dir, "nobody": ""} {
		resp, err := w.conn(dir).RoundTrip(newRequest(t, w.url+reportsPath))
		if err != nil {
			t.Fatalf("%s: %v", who, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 403 {
			t.Errorf("%s: %s", who, resp.Status)
		}
	}
	other := newWorld(t) // a control plane of somebody else's
	config, err := other.shows()
	if err != nil {
		t.Fatal(err)
	}
	config.Trust = w.ca.Trust()
	if err := w.hub.listenOnce(t.Context(), w.url, func() (secrets.ClientConfig, error) { return config, nil }); err == nil {
		t.Error("a stranger is told")
	}
	// And a control plane is no agent.
	config, err = w.shows()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := transport(w.url, config)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(newRequest(t, w.url+watchPath))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("a control plane watches as an agent: %s", resp.Status)
	}
}

func newRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
