package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// crowd is a change of many objects, which goes into the store in parts and counts as a whole: servers of weight n.
func (w *world) crowd(n int) string {
	var b strings.Builder
	for i := range crowdSize {
		fmt.Fprintf(&b, "---\nkind: Server\nmetadata: {name: crowd-%d, role: crowd}\nspec: {address: %s, zone: az1, ports: {http: 9000}, weight: %d}\n", i, w.at(230), n)
	}
	return b.String()
}

const crowdSize = 1500

// crowded gives the one weight that all servers of the crowd have, and fails when they differ.
func (w *world) crowded() int {
	w.t.Helper()
	var list struct {
		Items []struct{ Spec struct{ Weight int } }
	}
	weirtest.Eventually(w.t, waitLong, func() error {
		_, err := w.call("GET", "/api/v1/servers?role=crowd", "", &list)
		return err
	})
	for _, s := range list.Items {
		if len(list.Items) != crowdSize || s.Spec.Weight != list.Items[0].Spec.Weight {
			w.t.Fatalf("%d of %d servers are there, with weights %d and %d: a change is there in part", len(list.Items), crowdSize, list.Items[0].Spec.Weight, s.Spec.Weight)
		}
	}
	return list.Items[0].Spec.Weight
}

// TestServerIsKilledInTheMiddleOfAnApply: of a change of many objects. What was acknowledged is there, what was not
// is there wholly or not at all, and the load balancer goes on all the while and follows afterwards.
func TestServerIsKilledInTheMiddleOfAnApply(t *testing.T) {
	t.Parallel()
	g := newGrowing(nil, t, 1)
	g.start()
	w := g.world
	w.origin(200, "web1")
	w.apply(w.oneZone() + "---\nkind: Role\nmetadata: {name: crowd}\n" + w.crowd(1))
	w.join("lb1", "edge", "az1", weirtest.HAProxies(t)[0], "")
	w.converged(1)
	at := w.at(17).String() + ":8080"
	w.serves(at, "www.example.com", "/")
	clients := w.send(at, "www.example.com")
	begin := time.Now()
	w.apply(w.crowd(2))
	took := time.Since(begin)
	acked, done, unsure := 2, 0, 0
	rng := rand.New(rand.NewPCG(4, 2))
	// Six times, and on while the server was always quicker: how long a change takes is known of the last ones only.
	for n := 3; n < 9 || unsure == 0 && n < 40; n++ {
		begin := time.Now()
		ended := make(chan error, 1)
		go func() {
			_, err := w.call("POST", "/api/v1/apply?reason=test", w.crowd(n), nil)
			ended <- err
		}()
		time.AfterFunc(time.Duration(rng.Int64N(int64(took))), func() { _ = g.process.Signal(syscall.SIGKILL) })
		switch err := <-ended; {
		case err == nil:
			acked, took = n, min(took, time.Since(begin))
			done++
		default:
			unsure++
		}
		<-g.process.Done()
		g.start()
		if now := w.crowded(); now != n && now != acked {
			t.Errorf("all servers have weight %d; acknowledged was %d and on its way %d", now, acked, n)
		} else {
			acked = now
		}
		weighed := w.apply(fmt.Sprintf("kind: Server\nmetadata: {name: web1, role: web}\nspec: {address: %s, zone: az1, ports: {http: 9000}, weight: %d}\n", w.at(200), 10+n))
		w.converged(weighed)
	}
	clients.flawless()
	if unsure == 0 {
		t.Errorf("all of %d changes were acknowledged before the server was killed: that shows nothing", done)
	}
}

// TestMembersOfEtcdAreKilled: one, two and all three, while changes are made. With a majority they go on, without one
// they are refused and all else goes on; nothing acknowledged is lost, and the agents tell again.
func TestMembersOfEtcdAreKilled(t *testing.T) {
	t.Parallel()
	one, two := newCluster(t)
	one.origin(200, "web1")
	one.apply(one.oneZone())
	one.join("lb1", "edge", "az1", weirtest.HAProxies(t)[0], "")
	two.converged(1)
	at := one.at(17).String() + ":8080"
	one.serves(at, "www.example.com", "/")
	clients := one.send(at, "www.example.com")
	clients.more(20)
	changes := writeAt(one, two)
	changes.more(t, 10)
	members := one.etcd.Members()
	for i, m := range members {
		m.Kill()
		if i == 0 {
			changes.more(t, 10)
		} else {
			if f := two.status(); len(f.Groups) != 1 || f.Groups[0].Ready != 1 {
				t.Errorf("with %d members gone status says %+v", i+1, f)
			}
		}
		taken := changes.count()
		clients.more(100)
		if got := changes.count(); i > 0 && got > taken+1 { // one may have been on its way
			t.Errorf("with %d members gone %d changes were acknowledged", i+1, got-taken)
		}
	}
	for _, m := range members {
		m.Start()
	}
	changes.more(t, 10)
	one.converged(one.weigh(11))
	one.weighs(one.agents["lb1"], 11)
	two.converged(1)
	changes.end()
	clients.flawless()
	for _, w := range []*world{one, two} {
		w.holds(changes.acked)
	}
	if n := one.reloads(); n > 0 {
		t.Errorf("%d reloads", n)
	}
	t.Logf("%d changes acknowledged, the longest pause between two was %s", len(changes.acked), changes.longest)
}
