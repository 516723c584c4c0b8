package agent

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/plan"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// walk takes a real HAProxy through random changes of objects and holds, at every step, what is promised of it.
type walk struct {
	*engine
	t      *testing.T
	h      weirtest.HAProxy
	dir    string
	rng    *rand.Rand
	random weirtest.Options
	// set is the random part, canary the part of the site that is asked all the time.
	set, canary *weir.Set
	sites       netip.Prefix // bound by HAProxy
	origins     netip.Prefix
	undo        [][]weir.Write
	said        []string

	client  *canaryClient
	sampler *sampler
	seen    walkCounts
}

// walkCounts say what a walk has met, so that one which shows little fails.
type walkCounts struct {
	RunTime, Reloads, Empty, Leftovers, Fresh, Resumed, Killed int
	// Interrupted steps were ended in the middle; Late ones were done before that.
	Interrupted, Late int
	// Busy steps tell nothing about requests: the machine was too slow for the health checks.
	Busy int
}

const walkLB = "edge-az1-1"

func newWalk(t *testing.T, h weirtest.HAProxy, seed uint64) *walk {
	t.Helper()
	w := &walk{
		t: t, h: h, dir: weirtest.TempDir(t), rng: rand.New(rand.NewPCG(seed, 3)),
		sites: weirtest.Prefix(t), origins: weirtest.Prefix(t),
	}
	w.random = weirtest.Options{
		Ranges: []netip.Prefix{netip.PrefixFrom(hostOf(w.sites, 16), 28)}, Groups: 1, Addresses: 8, Sealed: true, Faults: true, Registered: true,
	}
	certificate := originCertificate(t)
	for i := range 16 {
		at := netip.AddrPortFrom(hostOf(w.origins, byte(10+i)), 8000)
		polyglot(t, at, certificate)
		w.random.Origins = append(w.random.Origins, at)
	}
	first := weirtest.RandomObjects(seed, w.random)
	w.set = weir.NewSet()
	for o := range first.Every() {
		w.set.Put(w.answerable(o))
	}
	w.canary = weir.NewSet()
	for _, o := range w.canaryObjects() {
		w.canary.Put(w.valid(o))
	}
	w.open()
	t.Cleanup(func() { w.end() })
	w.client = newCanaryClient(t, netip.AddrPortFrom(hostOf(w.sites, 30), 8080))
	w.sampler = newSampler(t, w.folder.path(haproxy.AdminSocket))
	return w
}

func hostOf(p netip.Prefix, host byte) netip.Addr {
	a := p.Addr().As4()
	a[3] = host
	return netip.AddrFrom4(a)
}

// open makes an engine that knows nothing but the folder.
func (w *walk) open() {
	w.t.Helper()
	version, err := haproxy.ParseVersion(w.h.Version)
	if err != nil {
		w.t.Fatal(err)
	}
	w.engine = openEngine(w.t, w.h, version, w.dir)
	w.engine.log = slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.engine.key = func(name string, ref weir.SealedRef) (secrets.Secret, error) {
		for o := range w.set.All("Certificate") {
			c := o.Spec.(*weir.Certificate)
			if c.Info != nil && strings.HasPrefix(c.Info.SHA256, ref.Fingerprint) {
				return secrets.NewSecret([]byte(weirtest.CertificateKey(c.Chain.String()))), nil
			}
		}
		return secrets.Secret{}, fmt.Errorf("certificate %s: no key %s", name, ref.Fingerprint)
	}
}

func (w *walk) end() {
	if w.process == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.process.Stop(ctx)
}

// wanted gives what a planner that knows nothing but the objects takes for the text of a set.
func (w *walk) wanted(set *weir.Set) haproxy.Config {
	w.t.Helper()
	node, _, err := compile.Node(set, walkLB)
	if err != nil {
		w.t.Fatal(err)
	}
	node, _ = node.At(time.Now())
	return haproxy.Render(node, haproxy.Env{Version: w.env.Version})
}

// pass converges to the present wishes.
func (w *walk) pass(ctx context.Context) (outcome, error) {
	node, _, err := compile.Node(w.all(), walkLB)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.converge(ctx, node.Resources())
}

func (w *walk) fail(format string, args ...any) {
	w.t.Helper()
	if w.process != nil {
		w.t.Logf("haproxy wrote last:\n%s", strings.Join(w.process.Output(), "\n"))
	}
	w.t.Fatalf("step %d (%s): %s", len(w.undo), strings.Join(w.said, ", "), fmt.Sprintf(format, args...))
}

// step brings HAProxy from one set to the present one and holds everything that is promised on the way.
func (w *walk) step(before *weir.Set) {
	w.t.Helper()
	old, want := w.wanted(before), w.wanted(w.all())
	planned := plan.Diff(plan.WithSpare(old, want, w.spare()), want)
	w.sampler.begin()
	out, err := w.pass(w.t.Context())
	if err != nil {
		w.fail("converge: %v", err)
	}
	if len(out.Held) > 0 {
		w.fail("held %v: %v", out.Held, w.quarantine.held)
	}
	w.count(out)
	if diff := samePlan(planned, out.Plan); diff != "" {
		w.fail("another thing was executed than was planned: %s", diff)
	}
	w.nobodyElse()
	w.held(out.Plan)
}

// nobodyElse holds that nothing of what was done is taken for another hand's.
func (w *walk) nobodyElse() {
	w.t.Helper()
	if _, err := w.lookWhole(w.t.Context()); err != nil {
		w.fail("look for other hands: %v", err)
	}
	if len(w.hands.items)+len(w.hands.past) > 0 {
		w.fail("another hand is blamed for %+v, and was for %+v", w.hands.items, w.hands.past)
	}
}

func (w *walk) count(out outcome) {
	switch {
	case out.Started || out.Reloaded:
		w.seen.Reloads++
	case len(out.Plan.Ops) > 0:
		w.seen.RunTime++
	default:
		w.seen.Empty++
	}
}

// settle passes again until removals that waited for connections are done: those, and nothing else, may be left.
func (w *walk) settle() {
	w.t.Helper()
	for range 100 {
		rest := len(w.waiting)
		out, err := w.pass(w.t.Context())
		if err != nil {
			w.fail("converge again: %v", err)
		}
		for _, op := range out.Plan.Ops {
			if op.Kind != plan.RemoveServer && op.Kind != plan.RemoveBackend && op.Kind != plan.DisableServer && op.Kind != plan.UnpublishBackend || rest == 0 {
				w.fail("converge again is not empty: %s", script(out.Plan))
			}
		}
		if len(out.Plan.Reload) > 0 {
			w.fail("converge again reloads: %s", script(out.Plan))
		}
		w.nobodyElse()
		if out.Plan.Empty() {
			return
		}
		w.seen.Leftovers++
	}
	w.fail("something is never removed: %v", w.waiting)
}

func samePlan(planned, done plan.Plan) string {
	a, b := script(planned), script(done)
	if a == b {
		return ""
	}
	return "planned\n" + a + "executed\n" + b
}

func script(p plan.Plan) string {
	var b strings.Builder
	for _, r := range p.Reload {
		fmt.Fprintf(&b, "  reload: %s\n", r)
	}
	for _, op := range p.Ops {
		fmt.Fprintf(&b, "  %s\n", op)
	}
	return b.String()
}

// readBack gives what HAProxy has, with the text that it has read.
func (w *walk) readBack() haproxy.Config {
	w.t.Helper()
	seen, err := w.process.Client().Observe(w.t.Context(), union(w.want, haproxy.Named(w.have.Sections)))
	if err != nil {
		w.fail("%v", err)
	}
	seen.Sections = w.have.Sections
	return seen
}

// A walk of random changes on a real HAProxy: what is executed is what was planned; the HAProxy that went
// through it is as a fresh one; to converge again is nothing; no pool that could serve before and after was
// empty on the way, and no request for a site in the midst of it fails; agents that end, and HAProxies that
// are killed, change none of that; and to undo all ends where it began.
func TestWalk(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		steps, chunk, limit := 48, 6, time.Hour
		if os.Getenv("WEIR_SOAK") != "" {
			steps, chunk = 1000, 25
		}
		steps = number(t, "WEIR_WALK_STEPS", steps)
		limit = time.Duration(number(t, "WEIR_WALK_MINUTES", int(limit.Minutes()))) * time.Minute
		w := newWalk(t, h, uint64(number(t, "WEIR_WALK_SEED", 1)))
		if _, err := w.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.settle()
		first := w.readBack()
		w.watch()
		begin := time.Now()
		for i := range steps {
			before := w.all()
			w.change()
			if i%6 == 2 {
				w.interrupt(before)
			} else {
				w.step(before)
			}
			switch {
			case i%24 == 11:
				w.leave()
			case i%24 == 23:
				w.kill()
			}
			if i%8 == 7 {
				w.settle()
				w.likeFresh()
			}
			if time.Since(begin) > limit {
				t.Logf("%d steps took %s: the walk ends here", i+1, limit)
				break
			}
		}
		for len(w.undo) > 0 {
			w.back(chunk)
		}
		w.likeFresh()
		if last := w.readBack(); !plan.Equivalent(last, first) {
			w.fail("all is undone and HAProxy is not as it was; it would take\n%s", script(plan.Diff(last, first)))
		}
		w.client.stop()
		w.sampler.stop()
		t.Logf("%+v, %d requests, %d samples", w.seen, w.client.asked, w.sampler.samples)
		if w.seen.RunTime < steps/4 || w.seen.Reloads == 0 || w.seen.Interrupted < steps/10 || w.sampler.samples < steps || w.client.asked < 10*steps {
			t.Errorf("the walk shows little: %+v", w.seen)
		}
	})
}

// resources are what the agent is sent.
func (w *walk) resources() []*ir.Resource {
	node, _, err := compile.Node(w.all(), walkLB)
	if err != nil {
		w.t.Fatal(err)
	}
	return node.Resources()
}
