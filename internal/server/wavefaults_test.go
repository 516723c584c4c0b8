package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/accesslog"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// fakeFleet is a control plane in this process with agents that say what the test wants.
type fakeFleet struct {
	t      *testing.T
	server *server
	url    string
	token  string
	caHash string
	client *http.Client
	agents []*fakeAgent
}

// fakeAgent takes what it is sent, and tells that HAProxy has it, but for its fault.
type fakeAgent struct {
	*link.Client
	name, version string

	mu      sync.Mutex
	state   link.State
	hosts   map[string]bool // of site www, that it has ever been sent
	counts  accesslog.Counts
	last    link.Report
	reloads int
	worker  int
	// fault, when set, changes what is told once the agent has a host of that name.
	fault func(a *fakeAgent, rep *link.Report)
	at    string
	// late agents are told everything, and tell what they told last.
	late bool
}

func startFakeFleet(t *testing.T) *fakeFleet {
	t.Helper()
	f := &fakeFleet{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan Listening, 1), make(chan error, 1)
	dir := weirtest.TempDir(t)
	o := Options{Dir: dir, Listen: weirtest.Addr(t) + ":7443", Version: "test", Ready: func(l Listening) { ready <- l }}
	o.fill()
	f.server = &server{opts: o}
	go func() { ended <- f.server.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("control plane: %v", err)
		}
	})
	var l Listening
	select {
	case l = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	text, err := secrets.ReadPrivateFile(l.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	f.url, f.caHash, f.token = l.URL, l.CAHash, strings.TrimSpace(string(text))
	host, _, _ := strings.Cut(strings.TrimPrefix(l.URL, "https://"), ":")
	config, err := secrets.ClientTLS(secrets.ClientConfig{ServerName: host, CAHash: l.CAHash, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	f.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: weirtest.Patience}
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}

func (f *fakeFleet) call(method, path, body string, out any) {
	f.t.Helper()
	status, raw := f.ask(method, path, body)
	if status >= 300 {
		f.t.Fatalf("%s %s: %d %s", method, path, status, raw)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fakeFleet) ask(method, path, body string) (status int, raw []byte) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+f.token)
	request.Header.Set("Content-Type", "application/yaml")
	answer, err := f.client.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err = io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer.StatusCode, raw
}

func (f *fakeFleet) apply(manifests string) int64 {
	f.t.Helper()
	var done struct{ Revision int64 }
	f.call("POST", "/api/v1/apply", manifests, &done)
	return done.Revision
}

func (f *fakeFleet) join(name, zone, version string) {
	f.t.Helper()
	var made struct{ Token string }
	f.call("POST", "/api/v1/tokens", fmt.Sprintf("kind: Token\nmetadata: {name: join-%s}\nspec: {subject: agent, join: {group: edge, zone: %s, loadBalancer: %s}}", name, zone, name), &made)
	o := link.Options{URLs: []string{f.url}, Dir: f.t.TempDir(), Backoff: 100 * time.Millisecond}
	if _, err := link.Enrol(f.t.Context(), o, link.Join{Token: made.Token, Name: name, Agent: "test", HAProxy: version}); err != nil {
		f.t.Fatal(err)
	}
	client, err := link.Open(o)
	if err != nil {
		f.t.Fatal(err)
	}
	a := &fakeAgent{Client: client, name: name, version: version, hosts: map[string]bool{}, worker: 100}
	f.agents = append(f.agents, a)
	ctx, cancel := context.WithCancel(context.Background())
	var ran sync.WaitGroup
	ran.Go(func() {
		if err := client.Run(ctx, a.sink); err != nil {
			f.t.Errorf("%s: %v", name, err)
		}
	})
	ran.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				a.tell(true)
			}
		}
	})
	f.t.Cleanup(func() {
		cancel()
		ran.Wait()
		_ = client.Close()
	})
}

func (a *fakeAgent) sink(s link.State) {
	a.mu.Lock()
	a.state = s
	a.mu.Unlock()
	a.tell(false)
}

// tell reports; every tick it has answered 20 requests of site www well.
func (a *fakeAgent) tell(tick bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.state
	if s.Epoch == "" {
		return
	}
	node, err := ir.Assemble(s.Resources)
	if err != nil {
		panic(err)
	}
	rep := link.Report{
		Agent: "test", HAProxy: a.version, Epoch: s.Epoch, Revision: s.Revision, Hash: s.Hash, Seen: s.Revision, State: link.Converged, Worker: a.worker,
		Reloads: link.ReloadReport{Count: a.reloads}, Resources: link.ResourceReport{Programmed: len(s.Resources), Deviations: map[string]link.Deviation{}}, Servers: map[string]map[string]link.ServerHealth{},
	}
	for _, p := range node.Pools {
		rep.Servers[p.Name] = map[string]link.ServerHealth{}
		for _, server := range p.Servers {
			rep.Servers[p.Name][server.Name] = link.ServerHealth{State: link.Up}
		}
	}
	faulty := false
	for _, site := range node.Sites {
		for _, host := range site.Hostnames {
			a.hosts[host] = true
			faulty = faulty || host == a.at
		}
	}
	if tick {
		a.count(2, 20)
	}
	if faulty && a.fault != nil {
		a.fault(a, &rep)
	}
	if a.late {
		rep = a.last
	}
	if rep.Counts, err = json.Marshal(a.counts); err != nil {
		panic(err)
	}
	a.last = rep
	a.Report(rep)
}

// count adds requests of a class to those of site www.
func (a *fakeAgent) count(class int, n uint64) {
	more := accesslog.Series{Key: accesslog.Key{Site: "www", Pool: "web", Zone: "az1"}}
	more.Classes[class].Requests = n
	a.counts.Merge(accesslog.Counts{Series: []accesslog.Series{more}})
}

// breakAt makes all agents have a fault once they have a host.
func (f *fakeFleet) breakAt(host string, fault func(a *fakeAgent, rep *link.Report)) {
	for _, a := range f.agents {
		a.mu.Lock()
		a.at, a.fault = host, fault
		a.mu.Unlock()
	}
}

// had names the agents that were ever sent a host.
func (f *fakeFleet) had(host string) []string {
	var list []string
	for _, a := range f.agents {
		a.mu.Lock()
		if a.hosts[host] {
			list = append(list, a.name)
		}
		a.mu.Unlock()
	}
	return list
}

func (f *fakeFleet) waves(want func(api.WaveStatus) bool) (s api.WaveStatus) {
	f.t.Helper()
	weirtest.Eventually(f.t, weirtest.Patience, func() error {
		s = api.WaveStatus{}
		status, raw := f.ask("GET", "/api/v1/loadbalancergroups/edge/waves", "")
		if status == http.StatusConflict {
			return fmt.Errorf("the group's wish for waves is not known yet: %s", raw)
		}
		if err := json.Unmarshal(raw, &s); err != nil || status >= 300 {
			f.t.Fatalf("waves: %d %s %v", status, raw, err)
		}
		if !want(s) {
			return fmt.Errorf("the waves are %+v", s)
		}
		return nil
	})
	return s
}

// ready waits until so many load balancers were read back to have what they are to have.
func (f *fakeFleet) ready(n int) {
	f.t.Helper()
	weirtest.Eventually(f.t, weirtest.Patience, func() error {
		var s api.FleetStatus
		f.call("GET", "/api/v1/status", "", &s)
		if have := s.Groups[0].Ready; have != n {
			return fmt.Errorf("%d of %d are ready", have, n)
		}
		return nil
	})
}

// patience sets how long the load balancers of the group may take to have a wave.
func (f *fakeFleet) patience(d string) {
	f.t.Helper()
	f.apply(fmt.Sprintf("kind: LoadBalancerGroup\nmetadata: {name: edge}\nspec: {ranges: [203.0.113.0/28], waves: {watch: 2s, patience: %s}}\n", d))
	f.waves(func(s api.WaveStatus) bool { return s.State == api.WavesIdle })
}

const fakeObjects = `
kind: Zone
metadata: {name: az1}
---
kind: Zone
metadata: {name: az2}
---
kind: Role
metadata: {name: web}
---
kind: LoadBalancerGroup
metadata: {name: edge}
spec: {ranges: [203.0.113.0/28], waves: {watch: 2s}}
---
kind: LoadBalancer
metadata: {name: never-heard}
spec: {group: edge, zone: az1}
---
kind: IPAddress
metadata: {name: www, role: web}
spec: {address: 203.0.113.1, groups: [edge]}
---
kind: Pool
metadata: {name: web, role: web}
spec: {members: [{name: m1, address: 10.0.0.1, port: 80}, {name: m2, address: 10.0.0.2, port: 80}]}
---
`

func fakeSite(host string) string {
	return fmt.Sprintf("kind: Site\nmetadata: {name: www, role: web}\nspec: {hostnames: [%s], addresses: [www], listeners: [{port: 80}], backends: {default: web}}\n", host)
}

// TestWhatHaltsAWave: whatever goes wrong on a canary, the wave goes back by itself, says why, and nobody else has
// seen it; a load balancer that was never heard holds nothing up.
func TestWhatHaltsAWave(t *testing.T) {
	t.Parallel()
	f := startFakeFleet(t)
	f.apply(fakeObjects + fakeSite("first.example.com"))
	f.join("a1", "az1", "3.4.7")
	f.join("a2", "az1", "3.2.9")
	f.join("b1", "az2", "3.4.7")
	f.waves(func(s api.WaveStatus) bool { return s.State == api.WavesIdle })
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if had := f.had("first.example.com"); len(had) != 3 {
			return fmt.Errorf("only %v have begun", had)
		}
		return nil
	})

	cases := []struct {
		name, why string
		fault     func(a *fakeAgent, rep *link.Report)
	}{
		{"refuses", "a1 refuses Site/www: unknown keyword", func(_ *fakeAgent, rep *link.Report) {
			rep.Resources.Deviations["site/www"] = link.Deviation{State: link.Quarantined, Reason: link.Refused, Message: "unknown keyword"}
		}},
		{"stays-behind", "a1, a2 did not have it after 2s", func(a *fakeAgent, rep *link.Report) { *rep = a.last }},
		{"fails", "a1: failed: no space left on device", func(_ *fakeAgent, rep *link.Report) {
			rep.State, rep.Message = link.Failed, "no space left on device"
		}},
		{"dies", "HAProxy of a1 ended", func(a *fakeAgent, rep *link.Report) { rep.Worker = a.worker + 1 }},
		{"loses-servers", "a1 does not serve Site/www: pool web: no server is up", func(_ *fakeAgent, rep *link.Report) {
			rep.Servers["web"] = map[string]link.ServerHealth{"m1": {State: link.Down}, "m2": {State: link.Down}}
		}},
		{"errs", "Site/www answers 5xx", func(a *fakeAgent, _ *link.Report) { a.count(5, 20) }},
	}
	for _, c := range cases {
		host := c.name + ".example.com"
		patience := "1m" // which a busy machine keeps to as well
		if c.name == "stays-behind" {
			patience = "2s"
		}
		f.patience(patience)
		f.breakAt(host, c.fault)
		revision := f.apply(fakeSite(host))
		s := f.waves(func(s api.WaveStatus) bool { return s.State == "halted" && slices.Contains(s.Changes, revision) })
		if !strings.HasPrefix(s.Why, c.why) || s.Reached != 0 {
			t.Errorf("%s: halted because %q, reached %d; want %q", c.name, s.Why, s.Reached, c.why)
		}
		if had := f.had(host); !slices.Equal(had, []string{"a1", "a2"}) {
			t.Errorf("%s: %v have seen it", c.name, had)
		}
		f.call("POST", fmt.Sprintf("/api/v1/changes/%d/undo", revision), "", nil)
		f.breakAt("", nil)
		s = f.waves(func(s api.WaveStatus) bool { return s.State == api.WavesIdle })
		if s.Last == nil || !strings.Contains(s.Last.Why, "takes back") {
			t.Errorf("%s: after the undo %+v", c.name, s.Last)
		}
		f.ready(3) // else others than before are chosen as canaries
	}

	f.patience("1m")
	// A reload is no harm, and servers that people drain are not down.
	f.breakAt("good.example.com", func(a *fakeAgent, rep *link.Report) {
		rep.Worker, rep.Reloads.Count = a.worker+1, a.reloads+1
		rep.Servers["web"]["m1"] = link.ServerHealth{State: link.Drain}
	})
	revision := f.apply(fakeSite("good.example.com"))
	s := f.waves(func(s api.WaveStatus) bool { return s.State == api.WavesIdle && s.Last.Target >= revision })
	if had := f.had("good.example.com"); len(had) != 3 || !s.Last.Done {
		t.Errorf("a good change: %v have it, %+v", had, s.Last)
	}
}

// TestUndoInTheMiddle: who takes a change back does not wait until the wave that carries it has ended.
func TestUndoInTheMiddle(t *testing.T) {
	t.Parallel()
	f := startFakeFleet(t)
	f.apply(strings.Replace(fakeObjects, "watch: 2s", "watch: 1h", 1) + fakeSite("first.example.com"))
	f.join("a1", "az1", "3.4.7")
	f.join("b1", "az2", "3.4.7")
	f.waves(func(s api.WaveStatus) bool { return s.State == api.WavesIdle })
	bad := f.apply(fakeSite("bad.example.com"))
	f.waves(func(s api.WaveStatus) bool { return s.State == "going" && s.Has == 1 })
	waits := f.apply("kind: Pool\nmetadata: {name: web, role: web}\nspec: {members: [{name: m1, address: 10.0.0.1, port: 80}]}\n")
	f.call("POST", fmt.Sprintf("/api/v1/changes/%d/undo", bad), "", nil)
	s := f.waves(func(s api.WaveStatus) bool { return s.Last != nil })
	if !strings.Contains(s.Last.Why, "takes back") || s.Base >= bad || s.Target != 0 && s.Target < waits {
		t.Errorf("after the undo: %+v, last %+v", s, s.Last)
	}
	s = f.waves(func(s api.WaveStatus) bool { return s.Has == 1 && s.Target >= waits })
	if !slices.Contains(s.Changes, waits) {
		t.Errorf("what else waited: %+v", s)
	}
	if had := f.had("bad.example.com"); !slices.Equal(had, []string{"a1"}) {
		t.Errorf("%v have seen it", had)
	}
}
