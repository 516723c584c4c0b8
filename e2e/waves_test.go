package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/api"
	"weir/internal/weirtest"
)

// wavesOf is a group of five load balancers: a1 (3.4), a2 (3.2) and a3 (3.4) in az1, b1 (3.4) and b2 (3.2) in az2.
type wavesOf struct {
	*world
	at   map[string]string // where site www is served, by load balancer
	list []string
}

// startWaves declares the group with waves that are watched for so long, and waits until all of it serves.
func startWaves(w *world, watch time.Duration) *wavesOf {
	w.t.Helper()
	w.origin(200, "web1")
	w.apply(strings.Replace(w.oneZone(), "spec: {ranges:", fmt.Sprintf("spec: {waves: {watch: %s, patience: 1m}, ranges:", watch), 1) +
		"---\nkind: Zone\nmetadata: {name: az2}\n")
	g := &wavesOf{world: w, at: map[string]string{}, list: []string{"a1", "a2", "a3", "b1", "b2"}}
	versions := weirtest.HAProxies(w.t)
	newest, oldest := versions[0], versions[0]
	for _, h := range versions {
		if h.Version > newest.Version {
			newest = h
		}
		if h.Version < oldest.Version {
			oldest = h
		}
	}
	for i, name := range g.list {
		h, zone := newest, "az1"
		if strings.HasSuffix(name, "2") {
			h = oldest
		}
		if name[0] == 'b' {
			zone = "az2"
		}
		g.at[name] = w.addr(17+16*i) + ":8080"
		w.join(name, "edge", zone, h, fmt.Sprintf(`,"localRanges":{"%s/28":"%s/28"}`, w.addr(16), w.addr(16+16*i)))
	}
	w.converged(1)
	for _, name := range g.list {
		w.serves(g.at[name], "www.example.com", "/")
	}
	g.waves("idle")
	return g
}

func (w *world) addr(host int) string { return w.at(host).String() }

// waves waits for a state of the waves of group edge.
func (g *wavesOf) waves(state string) api.WaveStatus {
	g.t.Helper()
	var s api.WaveStatus
	weirtest.Eventually(g.t, waitLong, func() error {
		if state == "idle" {
			g.having("www.example.com") // load balancers that count something say so at once
		}
		s = api.WaveStatus{}
		if _, err := g.call("GET", "/api/v1/loadbalancergroups/edge/waves", "", &s); err != nil {
			return err
		}
		if s.State != state {
			return fmt.Errorf("the waves are %s, not %s: %+v", s.State, state, s)
		}
		return nil
	})
	return s
}

func (g *wavesOf) steer(action, reason string) {
	g.t.Helper()
	if _, err := g.call("POST", "/api/v1/loadbalancergroups/edge/waves?action="+action+"&reason="+reason, "", nil); err != nil {
		g.t.Fatal(err)
	}
}

// having gives the load balancers that answer requests for a host.
func (g *wavesOf) having(host string) []string {
	var list []string
	// Those that come last are asked first: what one of them has, those before it have when they are asked.
	for _, name := range slices.Backward(g.list) {
		if status, _, err := g.get(g.at[name], host, "/"); err == nil && status == 200 {
			list = append(list, name)
		}
	}
	slices.Reverse(list)
	return list
}

// site is site www with another host, and perhaps routes.
func (g *wavesOf) site(host, more string) string {
	return fmt.Sprintf("kind: Site\nmetadata: {name: www, role: web}\nspec: {hostnames: [www.example.com, %s], addresses: [www], listeners: [{port: 8080}], backends: {default: web%s}\n", host, more)
}

// courseOf follows who has a host until all have.
func (g *wavesOf) courseOf(host string) []string {
	g.t.Helper()
	return g.follow(host)()
}

// follow begins to follow who has a host, and gives what waits until all have and tells the course of it.
func (g *wavesOf) follow(host string) func() []string {
	var course []string
	done := make(chan error, 1)
	go func() {
		ends := time.After(waitLong)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			have := strings.Join(g.having(host), " ")
			if len(course) == 0 || course[len(course)-1] != have {
				course = append(course, have)
			}
			if have == strings.Join(g.list, " ") {
				tick.Stop()
				done <- nil
				return
			}
			select {
			case <-tick.C:
			case <-ends:
				done <- fmt.Errorf("only %q have %s; so far %q", have, host, course)
				return
			}
		}
	}()
	return func() []string {
		g.t.Helper()
		if err := <-done; err != nil {
			g.t.Fatal(err)
		}
		return course
	}
}

// inOrder says whether nobody had something before those that come first.
func inOrder(t *testing.T, course []string) {
	t.Helper()
	canaries, zone := []string{"a1", "a2"}, []string{"a1", "a2", "a3"}
	has := func(have []string, all []string) bool {
		return !slices.ContainsFunc(all, func(name string) bool { return !slices.Contains(have, name) })
	}
	for _, step := range course {
		have := strings.Fields(step)
		if slices.Contains(have, "a3") && !has(have, canaries) || (slices.Contains(have, "b1") || slices.Contains(have, "b2")) && !has(have, zone) {
			t.Errorf("%q have it before others should; the whole course is %q", step, course)
		}
	}
	for _, want := range []string{"a1 a2", "a1 a2 a3"} {
		if !slices.Contains(course, want) {
			t.Errorf("it was never with %q alone: %q", want, course)
		}
	}
}

// TestWaves: what configuration says reaches one load balancer of each version first, then their zone, then the rest;
// what moves traffic about is everywhere at once; a change that comes meanwhile waits for the next wave.
func TestWaves(t *testing.T) {
	t.Parallel()
	g := startWaves(newWorld(t), 4*time.Second)
	clients := g.send(g.at["b1"], "www.example.com")
	clients.more(50)
	course := g.follow("new.example.com")
	first := g.apply(g.site("new.example.com", "}"))
	s := g.waves("going")
	if s.Target != first || s.Step != "canaries" || !slices.Equal(s.Canaries, []string{"a1", "a2"}) || s.Zone != "az1" {
		t.Errorf("the wave: %+v", s)
	}
	second := g.apply(g.site("new.example.com", ", other: web}, routes: [{match: {path: {prefix: /other}}, backend: other}]"))
	drained := g.apply("kind: Override\nmetadata: {name: web1, role: web}\nspec: {server: web1, weight: 7, reason: test, expiresAt: 2100-01-01T00:00:00Z}\n")
	g.converged(drained)
	for _, name := range g.list {
		g.weighs(g.agents[name], 7)
	}
	if s := g.waves("going"); !slices.Equal(s.Queued, []int64{second}) || !slices.Equal(s.Changes, []int64{first}) {
		t.Errorf("a change that came meanwhile: %+v", s)
	}
	inOrder(t, course())
	if s := g.waves("idle"); s.Base < second || s.Last == nil || !s.Last.Done {
		t.Errorf("the end: %+v", s)
	}
	g.says("sites/www", "Programmed", "True")
	clients.flawless()
}

// TestWaveHaltsByItself: a change that answers clients with errors is sent back from the canaries, and the others
// never see it.
func TestWaveHaltsByItself(t *testing.T) {
	t.Parallel()
	g := startWaves(newWorld(t), 5*time.Second)
	g.origin(201, "broken").SetStatus("/traffic", 500)
	untouched := map[string]*traffic{}
	for _, name := range []string{"a1", "a3", "b2"} {
		clients := g.send(g.at[name], "www.example.com")
		clients.more(20)
		if name != "a1" {
			untouched[name] = clients
		}
	}
	bad := g.apply(fmt.Sprintf("kind: Pool\nmetadata: {name: broken, role: web}\nspec: {members: [{name: m, address: %s, port: 9000}], healthCheck: {path: /ping, interval: 100ms, rise: 1}}\n---\n", g.addr(201)) +
		g.site("new.example.com", ", broken: broken}, routes: [{match: {path: {prefix: /traffic}}, backend: broken}]"))
	g.waves("going")
	s := g.waves("halted")
	if s.Step != "canaries" || s.By != "" || !strings.Contains(s.Why, "Site/www answers 5xx") || !slices.Equal(s.Changes, []int64{bad}) {
		t.Errorf("the wave: %+v", s)
	}
	g.says("sites/www", "Programmed", "False", "went back by itself", "5xx", "weir undo")
	if p := g.waitFor(bad); !p.Done || p.Programmed || !p.Groups[0].Halted || !strings.Contains(p.Groups[0].Message, "5xx") {
		t.Errorf("who waits is told %+v", p)
	}
	weirtest.Eventually(t, waitLong, func() error {
		if have := g.having("new.example.com"); len(have) > 0 {
			return fmt.Errorf("%q still have it", have)
		}
		return nil
	})
	// A canary that was reloading when the wave went back gets the change only then, and goes back from there.
	for _, name := range []string{"a1", "a2"} {
		weirtest.Eventually(t, waitLong, func() error {
			again := g.send(g.at[name], "www.example.com")
			again.more(100)
			again.end()
			if len(again.failures) > 0 {
				return fmt.Errorf("%s: %d requests failed, first: %v", name, len(again.failures), again.failures[0])
			}
			return nil
		})
	}
	for _, clients := range untouched {
		clients.flawless()
	}
	// An undo is all that it takes, and the next change goes on its way.
	if _, err := g.call("POST", fmt.Sprintf("/api/v1/changes/%d/undo", bad), "", nil); err != nil {
		t.Fatal(err)
	}
	g.waves("idle")
	g.apply(g.site("good.example.com", "}"))
	g.waves("going")
	g.steer("finish", "enough")
	g.courseOf("good.example.com")
	g.waves("idle")
}

// waitFor gives the last line of waiting for a revision.
func (w *world) waitFor(revision int64) api.Progress {
	w.t.Helper()
	var last api.Progress
	request, err := http.NewRequestWithContext(w.t.Context(), "GET", fmt.Sprintf("%s/api/v1/status?wait=%d", w.url, revision), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	answer, err := w.client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := json.NewDecoder(answer.Body); lines.More(); {
		var one api.ProgressLine
		if err := lines.Decode(&one); err != nil {
			w.t.Fatal(err)
		}
		if one.Progress != nil {
			last = *one.Progress
		}
	}
	return last
}

// TestPeopleSteerWaves: stopped it stays where it is while drains go everywhere; it goes on, or is sent back.
func TestPeopleSteerWaves(t *testing.T) {
	t.Parallel()
	g := startWaves(newWorld(t), 4*time.Second)
	g.apply(g.site("new.example.com", "}"))
	g.waves("going")
	g.steer("stop", "lunch")
	g.waves("stopped")
	weirtest.Eventually(t, waitLong, func() error {
		if have := g.having("new.example.com"); !slices.Equal(have, []string{"a1", "a2"}) {
			return fmt.Errorf("%q have it", have)
		}
		return nil
	})
	g.says("sites/www", "Programmed", "False", "stopped by admin", "lunch", "2 of 5")
	for weight := range 5 {
		drained := g.weigh(weight + 1)
		if p := g.waitFor(drained); !p.Done || !p.Programmed || p.Groups[0].Halted {
			t.Errorf("who waits for what is everywhere at once is told %+v", p)
		}
		g.converged(drained)
		for _, name := range g.list {
			g.weighs(g.agents[name], weight+1)
		}
	}
	if have := g.having("new.example.com"); !slices.Equal(have, []string{"a1", "a2"}) {
		t.Errorf("after a stop %q have it", have)
	}
	g.steer("back", "odd")
	s := g.waves("halted")
	if s.By != "admin" || s.Why != "odd" {
		t.Errorf("sent back: %+v", s)
	}
	weirtest.Eventually(t, waitLong, func() error {
		if have := g.having("new.example.com"); len(have) > 0 {
			return fmt.Errorf("%q still have it", have)
		}
		return nil
	})
	g.converged(1) // who has not told yet that it went back is no canary, and another one is
	g.steer("go", "all+well")
	inOrder(t, g.courseOf("new.example.com"))
	g.waves("idle")
	for _, c := range []struct{ action, says string }{{"stop", "nothing is on its way"}, {"leap", "stop, back, go or finish"}, {"finish", "say why"}} {
		if _, err := g.call("POST", "/api/v1/loadbalancergroups/edge/waves?action="+c.action, "", nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.action, err)
		}
	}
}

// TestWaveSurvivesTheServer: the server is killed in the middle of a wave. Nobody is reached meanwhile, nobody is sent
// anything anew, and what begins after it goes on.
func TestWaveSurvivesTheServer(t *testing.T) {
	t.Parallel()
	server := newGrowing(nil, t, 1)
	server.start()
	g := startWaves(server.world, 5*time.Second)
	g.apply(g.site("new.example.com", "}"))
	g.waves("going")
	weirtest.Eventually(t, waitLong, func() error {
		if have := g.having("new.example.com"); !slices.Equal(have, []string{"a1", "a2"}) {
			return fmt.Errorf("%q have it", have)
		}
		return nil
	})
	server.process.Kill()
	server.start()
	s := g.waves("going")
	if s.Step != "canaries" || !slices.Equal(s.Canaries, []string{"a1", "a2"}) {
		t.Errorf("after the server was killed: %+v", s)
	}
	inOrder(t, g.courseOf("new.example.com"))
	if s := g.waves("idle"); !s.Last.Done {
		t.Errorf("the end: %+v", s)
	}
}

// TestWavesOfTwoControlPlanes: the one that drives goes in the middle of a wave; the other one, which shows the same to
// its agents, watches the step anew and goes on.
func TestWavesOfTwoControlPlanes(t *testing.T) {
	t.Parallel()
	one, two := newCluster(t)
	g := startWaves(one, 3*time.Second)
	other := &wavesOf{world: two, at: g.at, list: g.list}
	clients := g.send(g.at["b1"], "www.example.com")
	clients.more(50)
	g.apply(g.site("new.example.com", "}"))
	first, second := g.waves("going"), other.waves("going")
	if first.Target != second.Target || !slices.Equal(first.Canaries, second.Canaries) {
		t.Errorf("two views of a wave: %+v, %+v", first, second)
	}
	one.stopServer()
	inOrder(t, other.courseOf("new.example.com"))
	if s := other.waves("idle"); !s.Last.Done {
		t.Errorf("the end: %+v", s)
	}
	one.startServer()
	if s := g.waves("idle"); s.Base < first.Target {
		t.Errorf("after it came back: %+v", s)
	}
	two.stopServer()
	g.apply(g.site("newer.example.com", "}"))
	inOrder(t, g.courseOf("newer.example.com"))
	clients.flawless()
	two.startServer()
}
