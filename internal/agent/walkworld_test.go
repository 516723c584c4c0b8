package agent

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// answerable lets the origins answer most of a random pool's checks, soon: waiting for what never comes up is
// worth some steps, not most of them.
func (w *walk) answerable(o *weir.Object) *weir.Object {
	pool, ok := o.Spec.(*weir.Pool)
	if !ok {
		return o
	}
	spec := *pool
	if spec.HealthCheck != nil && spec.HealthCheck.Type != "none" {
		check := *spec.HealthCheck
		if check.Type != "http" { // the origins speak nothing else
			check = weir.HealthCheck{Type: "tcp", Rise: check.Rise, Fall: check.Fall}
		}
		check.Interval = weir.Duration(time.Duration(100+w.rng.IntN(3)*50) * time.Millisecond)
		if spec.TLS != nil { // a handshake must be done within the interval, on a busy machine too
			check.Interval, check.Rise = weir.Duration(500*time.Millisecond), 1
		}
		spec.HealthCheck = &check
	}
	if spec.TLS != nil && spec.TLS.Verify != "none" && w.rng.IntN(6) > 0 {
		tls := *spec.TLS
		tls.Verify, tls.CA = "none", ""
		spec.TLS = &tls
	}
	c := &weir.Object{Kind: o.Kind, Metadata: o.Metadata, Spec: &spec}
	if len(weir.Validate(c)) > 0 {
		return o
	}
	return c
}

func (w *walk) canaryObjects() []*weir.Object {
	return []*weir.Object{
		{Kind: "IPAddress", Metadata: weir.Metadata{Name: "canary"}, Spec: &weir.IPAddress{Address: hostOf(w.sites, 30), HomeZone: "az1", Groups: []string{"edge"}}},
		{Kind: "Site", Metadata: weir.Metadata{Name: "canary"}, Spec: &weir.Site{
			Mode: "http", Hostnames: []string{"canary.example.org"}, Addresses: []string{"canary"},
			Listeners: []weir.Listener{{Port: 8080}}, Backends: map[string]weir.Backend{"default": {Pool: "canary"}},
		}},
		w.canaryPool(),
	}
}

// canaryPool is a pool that can always answer: only how it is asked, how it is checked and who is in it change.
func (w *walk) canaryPool() *weir.Object {
	r := w.rng
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	p := &weir.Pool{Mode: "http", Port: "8000", Balance: pick("roundrobin", "roundrobin", "leastconn", "random", "uri")}
	p.HealthCheck = &weir.HealthCheck{
		Type: pick("http", "http", "tcp"), Interval: weir.Duration(time.Duration(2+r.IntN(2)) * 100 * time.Millisecond), Rise: 1 + r.IntN(2), Fall: 5,
	}
	if p.HealthCheck.Type == "http" {
		p.HealthCheck.Path = pick("/", "/ping")
		p.HealthCheck.Method = pick("GET", "HEAD", "OPTIONS")
	}
	for _, i := range r.Perm(6)[:1+r.IntN(4)] {
		at := w.random.Origins[i]
		p.Members = append(p.Members, weir.Member{Name: fmt.Sprintf("c-%d", i%4), Address: at.Addr(), Port: weir.Port(at.Port()), Weight: new(1 + r.IntN(256))})
	}
	slices.SortFunc(p.Members, func(a, b weir.Member) int { return strings.Compare(a.Name, b.Name) })
	p.Members = slices.CompactFunc(p.Members, func(a, b weir.Member) bool { return a.Name == b.Name })
	if r.IntN(4) == 0 {
		p.Persistence = &weir.Persistence{Cookie: pick("SRV", "LB")}
	}
	if r.IntN(4) == 0 {
		p.TLS = &weir.PoolTLS{Verify: "none"}
		p.HealthCheck.Interval, p.HealthCheck.Rise = weir.Duration(500*time.Millisecond), 1
	}
	if r.IntN(5) == 0 {
		p.SendProxy = pick("v1", "v2")
	}
	if r.IntN(3) == 0 {
		p.MaxConnections = &weir.MaxConnections{PerServer: 50 + r.IntN(100)}
	}
	if r.IntN(4) == 0 {
		p.ServerTimeout = weir.Duration(time.Duration(5+r.IntN(10)) * time.Second)
	}
	return &weir.Object{Kind: "Pool", Metadata: weir.Metadata{Name: "canary"}, Spec: p}
}

// nextCanary gives the canary's pool another form; often only its weights.
func (w *walk) nextCanary() weir.Write {
	old := w.canary.Get(weir.Ref{Kind: "Pool", Name: "canary"})
	o := w.canaryPool()
	if w.rng.IntN(2) == 0 {
		spec := *old.Spec.(*weir.Pool)
		spec.Members = slices.Clone(spec.Members)
		for i := range spec.Members {
			spec.Members[i].Weight = new(1 + w.rng.IntN(256))
		}
		o = &weir.Object{Kind: "Pool", Metadata: old.Metadata, Spec: &spec}
	}
	return weir.Write{Put: w.valid(o)}
}

// valid fills in what objects leave out, and is sure that the rules accept them.
func (w *walk) valid(o *weir.Object) *weir.Object {
	if problems := weir.Validate(o); len(problems) > 0 {
		w.t.Fatalf("canary: %v", problems)
	}
	return o
}

// all is everything that is wished for.
func (w *walk) all() *weir.Set {
	set := w.set.Copy()
	for o := range w.canary.Every() {
		set.Put(o)
	}
	return set
}

// change makes the next wishes and remembers how to undo them.
func (w *walk) change() {
	var writes, back []weir.Write
	if w.rng.IntN(3) > 0 {
		for _, write := range weirtest.RandomWrite(w.rng, w.set, w.random) {
			if write.Put != nil {
				write.Put = w.answerable(write.Put)
			}
			writes = append(writes, write)
		}
	} else {
		writes = []weir.Write{w.nextCanary()}
	}
	before := w.all()
	for _, write := range writes {
		if old := before.Get(write.Ref()); old != nil {
			back = append(back, weir.Write{Put: old})
		} else {
			back = append(back, weir.Write{Delete: write.Ref()})
		}
	}
	w.make(writes)
	w.undo = append(w.undo, back)
}

func (w *walk) make(writes []weir.Write) {
	for _, write := range writes {
		part := &w.set
		if write.Ref().Name == "canary" {
			part = &w.canary
		}
		*part = weirtest.Apply(*part, []weir.Write{write})
		w.said = append(w.said, write.Ref().String())
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, text, err)
	}
	return n
}
