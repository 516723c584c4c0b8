package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"weir/internal/weirtest"
)

// egressWalk is a way out whose objects are written at random: applications a, b and c, partners p and q of two services and
// two addresses each, levels low and high, and rules; and what must become of a call.
type egressWalk struct {
	w       *world
	rng     *rand.Rand
	clients map[string]map[string]bool // application → sources
	own     map[string]partnerWish     // partner/service
	rules   map[string]ruleWish
	closed  map[string]bool // partner
}

// partnerWish is a service of a partner.
type partnerWish struct {
	host            int // of its address
	path, ca, shown string
	inFlight        int
}

// ruleWish is a rule.
type ruleWish struct {
	clients, services, levels, methods, paths []string
	partner                                   string
}

func list(words []string) string { return "[" + strings.Join(words, ", ") + "]" }

func (x *egressWalk) some(words ...string) (list []string) {
	for _, w := range words {
		if x.rng.IntN(2) == 0 {
			list = append(list, w)
		}
	}
	if list == nil {
		list = words[:1]
	}
	return list
}

func (x *egressWalk) client(name string) string {
	var sources []string
	for source := range x.clients[name] {
		sources = append(sources, source+"/32")
	}
	slices.Sort(sources)
	return fmt.Sprintf("---\nkind: EgressClient\nmetadata: {name: %s, role: web}\nspec: {environment: prod, sources: %s}\n", name, list(sources))
}

func (x *egressWalk) partner(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "---\nkind: Partner\nmetadata: {name: %s, role: web}\nspec:\n", name)
	if x.closed[name] {
		b.WriteString("  maintenance: {status: 410}\n")
	}
	b.WriteString("  endpoints:\n")
	for _, service := range []string{"one", "two"} {
		e := x.own[name+"/"+service]
		fmt.Fprintf(&b, "  - {environment: prod, service: %s, host: %s.example.net, port: 4430, addresses: [%s], path: %q, inFlight: %d, tls: {ca: %s, clientCertificate: %q}}\n",
			service, name, x.w.at(e.host), e.path, e.inFlight, e.ca, e.shown)
	}
	return strings.ReplaceAll(b.String(), `, path: ""`, "")
}

func (x *egressWalk) rule(name string) string {
	r := x.rules[name]
	return fmt.Sprintf("---\nkind: EgressRule\nmetadata: {name: %s, role: web}\nspec: {clients: %s, partner: %s, services: %s, slas: %s, methods: %s, paths: %s}\n",
		name, list(r.clients), r.partner, list(r.services), list(r.levels), list(r.methods), list(r.paths))
}

// hosts are the addresses of a partner.
var walkHosts = map[string][]int{"p": {201, 202}, "q": {203, 204}}

// service makes up how a service is spoken to.
func (x *egressWalk) service(partner string) partnerWish {
	pick := func(words ...string) string { return words[x.rng.IntN(len(words))] }
	return partnerWish{host: walkHosts[partner][x.rng.IntN(2)], path: pick("", "/base", "/other"), ca: pick("theirs", "twin"), shown: pick("", "shown"), inFlight: x.rng.IntN(2) * 50}
}

// edit changes something, and gives what to write and, as paths, what to delete.
func (x *egressWalk) edit() (write, gone string) {
	pick := func(words ...string) string { return words[x.rng.IntN(len(words))] }
	app, partner, rule := pick("a", "b", "c"), pick("p", "q"), pick("r1", "r2", "r3", "r4")
	switch x.rng.IntN(8) {
	case 0, 1, 2:
		if _, has := x.rules[rule]; has && x.rng.IntN(2) == 0 {
			delete(x.rules, rule)
			return "", "egressrules/" + rule
		}
		x.rules[rule] = ruleWish{partner: partner, clients: x.some("a", "b", "c"), services: x.some("one", "two"), levels: x.some("low", "high"), methods: x.some("GET", "POST"), paths: x.some("/", "/api")}
		return x.rule(rule), ""
	case 3:
		x.clients[app] = map[string]bool{}
		for _, host := range x.some("50", "51") {
			x.clients[app][strings.TrimSuffix(x.w.at(0).String(), ".0")+"."+host] = true
		}
		return x.client(app), ""
	case 4:
		return fmt.Sprintf("---\nkind: SLA\nmetadata: {name: %s}\nspec: {server: %ds, inFlight: %d, connections: %s}\n", pick("low", "high"), 10+x.rng.IntN(5), x.rng.IntN(2)*100, pick("own", "kept")), ""
	case 5:
		x.closed[partner] = !x.closed[partner]
	default:
		x.own[partner+"/"+pick("one", "two")] = x.service(partner)
	}
	return x.partner(partner), ""
}

// becomes says what a call must become: a status, and of a 200 what the partner sees.
func (x *egressWalk) becomes(source, app, partner, service, level, method, rest string) (status int, origin, uri string) {
	if !x.clients[app][source] {
		return 403, "", ""
	}
	let := false
	for _, r := range x.rules {
		let = let || r.partner == partner && slices.Contains(r.clients, app) && slices.Contains(r.services, service) && slices.Contains(r.levels, level) && slices.Contains(r.methods, method) &&
			slices.ContainsFunc(r.paths, func(p string) bool { return strings.HasPrefix(rest+"/", strings.TrimSuffix(p, "/")+"/") })
	}
	e := x.own[partner+"/"+service]
	switch {
	case !let:
		return 403, "", ""
	case x.closed[partner]:
		return 410, "", ""
	}
	return 200, fmt.Sprint(e.host, e.shown), e.path + rest
}

// TestWaysOutWalk: whatever is written of a way out, in whatever order, no call goes where no rule lets it, or to another
// partner, and none that nothing was written about fails; on 3.4 nothing of it is a reload. It is the same after a reload,
// when the agent starts anew, when HAProxy is killed, and when something was written meanwhile.
func TestWaysOutWalk(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		inside, theirs, ours := newAuthority(t, "inside"), newAuthority(t, "theirs"), newAuthority(t, "ours")
		me := w.at(50).String()
		for name, hosts := range map[string][]int{"p": walkHosts["p"], "q": walkHosts["q"], "steady": {205}} {
			for _, host := range hosts {
				w.secureOrigin(w.at(host).String()+":4430", fmt.Sprint(host), &tls.Config{Certificates: []tls.Certificate{theirs.issue(name + ".example.net").tls(t)}, ClientAuth: tls.RequestClientCert})
			}
		}
		x := &egressWalk{w: w, rng: rand.New(rand.NewPCG(7, 1)), clients: map[string]map[string]bool{}, own: map[string]partnerWish{}, rules: map[string]ruleWish{}, closed: map[string]bool{}}
		objects := w.oneZone() + inside.sign(rsaKey(t, 2048), "egress.inside").manifest("inside") + keyPair{chain: theirs.pem}.manifest("theirs") + keyPair{chain: theirs.pem}.manifest("twin") +
			ours.issue("shown").manifest("shown") + w.egressSite(me) + partner("steady", "steady.example.net", 4430, w.at(205).String(), "ca: theirs") +
			"---\nkind: SLA\nmetadata: {name: low}\n---\nkind: SLA\nmetadata: {name: slow}\n"
		objects = strings.ReplaceAll(objects, "slas: [high]", "slas: [slow]")
		for _, app := range []string{"a", "b", "c"} {
			x.clients[app] = map[string]bool{me: true}
			objects += x.client(app)
		}
		for _, partner := range []string{"p", "q"} {
			for _, service := range []string{"one", "two"} {
				x.own[partner+"/"+service] = x.service(partner)
			}
			objects += x.partner(partner)
		}
		x.rules["r1"] = ruleWish{partner: "p", clients: []string{"a"}, services: []string{"one"}, levels: []string{"low"}, methods: []string{"GET"}, paths: []string{"/"}}
		x.rules["r2"] = ruleWish{partner: "q", clients: []string{"b"}, services: []string{"two"}, levels: []string{"high"}, methods: []string{"GET"}, paths: []string{"/api"}}
		w.apply(objects + x.rule("r1") + x.rule("r2"))
		a := w.join("lb1", "edge", "az1", h, "")
		w.converged(1)

		vip := w.at(17).String() + ":8443"
		from := func(source string, keep bool) *http.Client {
			c := tlsClient{w: w, roots: inside.pool(), sni: "egress.inside", source: source}
			transport := &http.Transport{DisableKeepAlives: !keep, TLSClientConfig: c.config(), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return c.dialer().DialContext(ctx, network, vip)
			}}
			t.Cleanup(transport.CloseIdleConnections)
			return &http.Client{Transport: transport, Timeout: waitLong}
		}
		applications := map[string]*http.Client{me: from(me, false), w.at(51).String(): from(w.at(51).String(), false)}
		steady := from(me, true)
		ask := func(client *http.Client, method, path string) (int, string, string, error) {
			request, err := http.NewRequestWithContext(t.Context(), method, "https://egress.inside"+path, nil)
			if err != nil {
				return 0, "", "", err
			}
			answer, err := client.Do(request)
			if err != nil {
				return 0, "", "", err
			}
			defer answer.Body.Close()
			_, err = io.Copy(io.Discard, answer.Body)
			return answer.StatusCode, answer.Header.Get("X-Origin") + answer.Header.Get("X-Client"), answer.Header.Get("X-URI"), err
		}
		// holds asks for everything.
		holds := func() (wrong []string) {
			var lock sync.Mutex
			var asked sync.WaitGroup
			room := make(chan struct{}, 16)
			for source, application := range applications {
				for i := range 24 {
					app, partner, service, level := string("abc"[i%3]), string("pq"[i/3%2]), []string{"one", "two"}[i/6%2], []string{"low", "high"}[i/12%2]
					method, rest := []string{"GET", "POST"}[x.rng.IntN(2)], []string{"/api/x", "/y"}[x.rng.IntN(2)]
					status, origin, uri := x.becomes(source, app, partner, service, level, method, rest)
					path := strings.Join([]string{"", app, "prod", partner, "prod", service, level}, "/") + rest
					room <- struct{}{}
					asked.Go(func() {
						defer func() { <-room }()
						gotStatus, gotOrigin, gotURI, err := ask(application, method, path)
						if err != nil || gotStatus != status || gotOrigin != origin || gotURI != uri {
							lock.Lock()
							defer lock.Unlock()
							wrong = append(wrong, fmt.Sprintf("%s %s from %s: %d %s %s, want %d %s %s: %v", method, path, source, gotStatus, gotOrigin, gotURI, status, origin, uri, err))
						}
					})
				}
			}
			asked.Wait()
			return wrong
		}
		var all sync.WaitGroup
		var last context.CancelFunc
		// steadily calls what nothing is written about, until stop.
		steadily := func() {
			ctx, cancel := context.WithCancel(t.Context())
			last = cancel
			for range 2 {
				all.Go(func() {
					for ctx.Err() == nil {
						if status, origin, _, err := ask(steady, "GET", "/myback/prod/steady/prod/www/slow/x"); err != nil || status != 200 || origin != "205" {
							t.Errorf("a steady call: %d by %s: %v", status, origin, err)
							return
						}
					}
				})
			}
		}
		stop := func() { last(); all.Wait() }
		defer stop()
		steadily()
		check := func(what string) {
			t.Helper()
			if wrong := holds(); len(wrong) > 0 {
				t.Fatalf("%s:\n%s", what, strings.Join(wrong, "\n"))
			}
		}
		check("at first")
		reloads := w.reloads()
		step := func() (what string, revision int64) {
			write, gone := x.edit()
			if gone != "" {
				var answer struct{ Revision int64 }
				if _, err := w.call("DELETE", "/api/v1/"+gone+"?reason=test", "", &answer); err != nil {
					t.Fatal(err)
				}
				return "without " + gone, answer.Revision
			}
			return write, w.apply(write)
		}
		for i := range 12 {
			var done []string
			var revision int64
			for range 1 + x.rng.IntN(3) {
				what, at := step()
				done = append(done, what)
				revision = max(revision, at)
			}
			switch i {
			case 4:
				stop()
				a.stop()
				what, at := step()
				done, revision = append(done, what), at
				w.startAgent(a)
			case 8:
				stop()
				ended := w.status().Groups[0].LoadBalancers[0].Ended.Count
				w.killHAProxy(a)
				weirtest.Eventually(t, waitLong, func() error {
					if n := w.status().Groups[0].LoadBalancers[0].Ended.Count; n == ended {
						return fmt.Errorf("nobody has seen it end")
					}
					return nil
				})
				what, at := step()
				done, revision = append(done, what), at
			}
			w.converged(revision)
			if i == 4 || i == 8 {
				weirtest.Eventually(t, waitLong, func() error {
					_, _, _, err := ask(applications[me], "GET", "/")
					return err // HAProxy is on its way
				})
				steadily()
			}
			check(fmt.Sprint("step ", i, ": ", strings.Join(done, "\n")))
		}
		if got := w.reloads() - reloads; got > 0 && h.Version == "3.4" {
			t.Errorf("%d reloads: %+v", got, w.status())
		}
		w.converged(w.apply("kind: Tuning\nmetadata: {name: default}\nspec: {ports: [{port: 8080, mode: http}, {port: 8443, mode: https}, {port: 8081, mode: http}]}\n"))
		check("after a reload")
	})
}
