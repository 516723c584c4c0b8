package agent

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/drift"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// hand is what somebody does at the run-time socket, or to a file.
type hand struct {
	name string
	do   func(b *bed)
	// says are the object and the words that are told.
	says []string
	// since34 hands need that version; stays says that what was done outlives a reload.
	since34, stays bool
}

// backend gives the full name of a pool's backend.
func (b *bed) backend(pool string) string {
	b.t.Helper()
	names, err := b.process.Client().Backends(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(names, func(name string) bool { return haproxy.BaseName(name) == pool })
	if i < 0 {
		b.t.Fatalf("the pool %s is not among %v", pool, names)
	}
	return names[i]
}

// server gives the full name of a pool's server, as in "one.abcd/s40.abcd", with what HAProxy has of it.
func (b *bed) server(pool, server string) (string, haproxy.ServerState) {
	b.t.Helper()
	backend := b.backend(pool)
	states, err := b.process.Client().ServersState(b.t.Context(), backend)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range states {
		if haproxy.BaseName(s.Server) == server {
			return backend + "/" + s.Server, s
		}
	}
	return "", haproxy.ServerState{}
}

func (b *bed) run(words ...string) { command(b.t, b.process.Client(), words...) }

func (b *bed) edit(name string, change func(text string) string) {
	b.t.Helper()
	text, err := os.ReadFile(b.folder.path(name))
	if err == nil {
		err = os.WriteFile(b.folder.path(name), []byte(change(string(text))), 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// allHands are all that is known of what people do.
func allHands() []hand {
	s40 := func(b *bed) string { name, _ := b.server("one", "s40"); return name }
	return []hand{
		{name: "weight", do: func(b *bed) { b.run("set", "server", s40(b), "weight", "7") }, says: []string{"Server/s40: weight 100 → 7"}, stays: true},
		{name: "drain", do: func(b *bed) { b.run("set", "server", s40(b), "state", "drain") }, says: []string{"Server/s40: drained by hand"}, stays: true},
		{name: "maintenance", do: func(b *bed) { b.run("disable", "server", s40(b)) }, says: []string{"Server/s40: put into maintenance by hand"}, stays: true},
		{name: "bound", do: func(b *bed) { b.run("set", "maxconn", "server", s40(b), "3") }, says: []string{"Server/s40: bound of connections none → 3"}},
		{name: "address", do: func(b *bed) { b.run("set", "server", s40(b), "addr", "127.0.0.1", "port", "9") }, says: []string{"Server/s40: address "}},
		{name: "deleted server", do: func(b *bed) {
			name := s40(b)
			b.run("set", "server", name, "state", "maint")
			b.run("wait", "5s", "srv-removable", name)
			b.run("del", "server", name)
		}, says: []string{"Server/s40: deleted by hand"}},
		{name: "added server", do: func(b *bed) {
			name := b.backend("one") + "/evil"
			b.run("add", "server", name, "127.0.0.1:9")
			b.run("enable", "server", name)
		}, says: []string{"evil: added by hand at 127.0.0.1:9"}},
		{name: "added backend", do: func(b *bed) { b.run("add", "backend", "evil", "from", "p-http-roundrobin") }, says: []string{"backend evil added by hand"}, since34: true},
		{name: "cleared map", do: func(b *bed) { b.run("clear", "map", mapWith(b, "one.example")) }, says: []string{"Site/one: maps/", "deleted by hand"}},
		{name: "added entry", do: func(b *bed) { b.run("add", "map", mapWith(b, "one.example"), "evil.example", "one") }, says: []string{"entry evil.example added by hand"}},
		{name: "certificate", do: func(b *bed) {
			// The certificate that stands in every list is at hand.
			pem, err := os.ReadFile(b.folder.path(haproxy.PlaceholderCert))
			if err == nil {
				err = b.process.Client().SetCert(b.t.Context(), b.want.Certs[0].Path, string(pem))
			}
			if err != nil {
				b.t.Fatal(err)
			}
		}, says: []string{"Certificate/c: swapped for another by hand"}},
		{name: "edited file", do: func(b *bed) {
			b.edit(haproxy.ConfigFile, func(text string) string {
				lines := strings.SplitAfter(text, "\n")
				return strings.Join(slices.Insert(lines, 3, "# mine\n"), "")
			})
		}, says: []string{haproxy.ConfigFile + " line 4 edited"}},
		{name: "deleted file", do: func(b *bed) { _ = os.Remove(b.folder.path(b.want.Maps[0].Path)) }, says: []string{"deleted"}},
	}
}

// mapWith finds the map that has a host's key.
func mapWith(b *bed, host string) string {
	b.t.Helper()
	for _, m := range b.want.Maps {
		if slices.ContainsFunc(m.Entries, func(e haproxy.Entry) bool { return strings.HasPrefix(e.Key, host) }) {
			return m.Path
		}
	}
	b.t.Fatalf("no map has %s", host)
	return ""
}

// meddled is a bed with two servers and a certificate.
func meddled(t *testing.T, h weirtest.HAProxy, mode weir.DriftMode) *bed {
	b := newBed(t, h)
	v := newVault(t)
	b.key = v.key
	b.node.Group.Drift = mode
	b.site("one", 40, 41)
	b.node.Certificates = append(b.node.Certificates, v.certificate("c", "one.example", false))
	b.secure(0, "c")
	b.converge()
	b.serves("one")
	return b
}

// told is what the control plane is told.
func (b *bed) told() link.DriftReport {
	if r := b.hands.tell(b.mode, time.Now()); r != nil {
		return *r
	}
	return link.DriftReport{}
}

func (b *bed) lookNow() bool {
	b.t.Helper()
	news, err := b.lookWhole(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return news
}

// says holds what is told of somebody's doing against the words that it is to be told in.
func says(list []link.Drift, words []string) error {
	for _, d := range list {
		text := d.Object + ": " + d.Text
		if d.Object == "" || d.Kind == string(drift.Server) {
			text += " " + d.Server + ": " + d.Text
		}
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) && !d.Since.IsZero() {
			return nil
		}
	}
	return fmt.Errorf("%q is not in %+v", words, list)
}

// Every kind of thing that another hand does is seen, told, undone without a reload, and told to be undone.
func TestWhatOtherHandsDoIsUndone(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := meddled(t, h, "")
		if b.lookNow() || len(b.hands.items) > 0 {
			t.Fatalf("found, when nobody did anything: %+v", b.hands.items)
		}
		for i, hand := range allHands() {
			if hand.since34 && h.Version == "3.2" {
				continue
			}
			hand.do(b)
			if !b.lookNow() {
				t.Fatalf("%s is not seen", hand.name)
			}
			if err := says(b.told().Now, hand.says); err != nil {
				t.Errorf("%s: %v", hand.name, err)
			}
			if out := b.converge(); out.Reloaded {
				t.Errorf("%s takes a reload: %v", hand.name, out.Plan.Reload)
			}
			told := b.told()
			if err := says(told.Past, hand.says); err != nil || len(told.Now) > 0 || told.Undone <= uint64(i/2) || told.Past[len(told.Past)-1].Undone.IsZero() {
				t.Errorf("%s: afterwards %+v is told: %v", hand.name, told, err)
			}
			b.settled()
			if b.lookNow() {
				t.Errorf("%s: afterwards there is %+v", hand.name, b.hands.items)
			}
		}
		for _, f := range b.want.Files() {
			if have, err := os.ReadFile(b.folder.path(f.Path)); err != nil || string(have) != f.Content {
				t.Errorf("%s is not as it was (%v)", f.Path, err)
			}
		}
	})
}

// What is to be left alone stays as it is while everything else goes on, also over a reload where it can; it is told
// since when, and gone when it is gone.
func TestWhatOtherHandsDoIsLeftAlone(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := meddled(t, h, weir.DriftReport)
		if b.lookNow() || len(b.hands.items) > 0 {
			t.Fatalf("found, when nobody did anything: %+v", b.hands.items)
		}
		for i, hand := range allHands() {
			if !hand.since34 || h.Version != "3.2" {
				b.leavesAlone(hand, i)
			}
		}
	})
}

func (b *bed) leavesAlone(hand hand, turn int) {
	t := b.t
	t.Helper()
	b.node.Group.Drift = weir.DriftReport
	b.converge()
	hand.do(b)
	if hand.name == "edited file" { // the next wish will be written to it
		b.lookNow()
	}
	// A wish that comes before anybody has looked must leave it alone, too.
	other := &b.node.Pools[0].Servers[1]
	if hand.name != "edited file" {
		other.Weight = 50
	}
	b.converge()
	b.lookNow()
	first := b.told()
	if err := says(first.Now, hand.says); err != nil {
		t.Errorf("%s: %v", hand.name, err)
	}
	other.Weight = 60 + turn
	if out := b.converge(); len(out.Plan.Ops) != 1 {
		t.Errorf("%s: a wish for another server does %v", hand.name, planLines(out.Plan))
	}
	if _, s := b.server("one", "s41"); s.Weight != 60+turn {
		t.Errorf("%s: the wish is not done: %+v", hand.name, s)
	}
	b.lookNow()
	if now := b.told(); hand.name != "edited file" && fmt.Sprint(now.Now) != fmt.Sprint(first.Now) {
		t.Errorf("%s: after a wish %+v is told, before %+v", hand.name, now.Now, first.Now)
	}
	b.node.Tuning.MaxConnections = 1234 + turn
	if out := b.converge(); !out.Reloaded {
		t.Errorf("%s: a tuning takes no reload", hand.name)
	}
	b.lookNow()
	if now := b.told(); hand.stays && fmt.Sprint(now.Now) != fmt.Sprint(first.Now) || !hand.stays && len(now.Now) > 0 {
		t.Errorf("%s: after a reload %+v is told, before %+v", hand.name, now.Now, first.Now)
	}
	b.node.Group.Drift = ""
	b.converge()
	if told := b.told(); len(told.Now) > 0 || hand.stays && says(told.Past, hand.says) != nil {
		t.Errorf("%s: corrected, %+v is told", hand.name, told)
	}
	b.settled()
}

// Where a wish asks for something else at the very place, it is newer than the hand.
func TestAWishIsNewerThanAHand(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := meddled(t, h, weir.DriftReport)
		s40, _ := b.server("one", "s40")
		s41, _ := b.server("one", "s41")
		b.run("set", "server", s40, "weight", "7")
		b.run("set", "server", s41, "state", "maint")
		b.run("wait", "5s", "srv-removable", s41)
		b.run("del", "server", s41)
		b.lookNow()
		pool := &b.node.Pools[0]
		pool.Servers[0].Weight = 30
		pool.Servers = pool.Servers[:1] // nobody wishes for s41 either, now
		b.converge()
		if _, s := b.server("one", "s40"); s.Weight != 30 {
			t.Errorf("weight %d", s.Weight)
		}
		if b.lookNow(); len(b.hands.items) > 0 {
			t.Errorf("still told: %+v", b.hands.items)
		}
		b.settled()
	})
}

// A drain that is adopted is none by hand any more.
func TestAnAdoptedDrainIsAWish(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := meddled(t, h, weir.DriftReport)
		name, _ := b.server("one", "s40")
		b.run("set", "server", name, "state", "drain")
		b.lookNow()
		b.node.Pools[0].Servers[0].Weight = 0 // as an Override has it
		b.converge()
		if _, s := b.server("one", "s40"); s.Weight != 0 {
			t.Errorf("weight %d", s.Weight)
		}
		if b.lookNow(); len(b.hands.items) > 0 {
			t.Errorf("still told: %+v", b.hands.items)
		}
		b.node.Pools[0].Servers[0].Weight = 100
		b.converge()
		if _, s := b.server("one", "s40"); s.Weight != 100 || s.Admin != 0 {
			t.Errorf("when the Override ends: %+v", s)
		}
	})
}

// An Override that ends is nobody's hand, whoever looks around that moment, and ends also where hands are left alone.
func TestAnOverrideThatEndsIsNoDrift(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	b := meddled(t, h, weir.DriftReport)
	now := time.Now()
	b.clock = func() time.Time { return now }
	b.node.Pools[0].Servers[0].Overrides = []ir.Override{{Name: "o", State: weir.StateDrain, ExpiresAt: now.Add(time.Minute)}}
	b.converge()
	for _, weight := range []int{0, 100} {
		b.lookNow()
		b.converge()
		b.lookNow()
		if _, s := b.server("one", "s40"); s.Weight != weight || len(b.hands.items)+len(b.hands.past) > 0 {
			t.Errorf("weight %d, want %d; told is %+v", s.Weight, weight, b.told())
		}
		now = now.Add(time.Minute)
	}
}

// An agent that starts anew knows what was to be left alone.
func TestWhatIsLeftAloneOutlivesTheAgent(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	b := meddled(t, h, weir.DriftReport)
	name, _ := b.server("one", "s40")
	b.run("set", "server", name, "weight", "7")
	b.lookNow()
	first := b.told()
	dir := strings.TrimSuffix(b.folder.dir, "/live")
	(&Agent{opts: Options{Dir: dir}, engine: b.engine, log: b.log}).keepHands()
	again := openEngine(t, h, b.env.Version, dir)
	again.env, again.key, again.process = b.env, b.key, b.process
	b.engine = again
	if err := b.resume(t.Context(), b.node.Resources()); err != nil {
		t.Fatal(err)
	}
	b.converge()
	if _, s := b.server("one", "s40"); s.Weight != 7 {
		t.Errorf("weight %d", s.Weight)
	}
	if now := b.told(); len(now.Now) != 1 || now.Now[0].Text != first.Now[0].Text || !now.Now[0].Since.Equal(first.Now[0].Since) {
		t.Errorf("%+v is told, before %+v", now.Now, first.Now)
	}
}
