package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/discovery"
	"weir/internal/discovery/dns"
	"weir/internal/store"
)

const (
	// NamePrefix begins the names of what is kept of hosts of Partners among the values of the platform.
	NamePrefix = "names/"
	// NameAuthor writes the addresses that they have.
	NameAuthor = "dns"

	writeAgain = 5 * time.Second
)

func nameRecord(n weir.PartnerName) string { return NamePrefix + n.Host + "/" + n.Prefer }

// NameOf gives the host whose status the value of that name is.
func NameOf(record string) weir.PartnerName {
	host, prefer, _ := strings.Cut(strings.TrimPrefix(record, NamePrefix), "/")
	return weir.PartnerName{Host: host, Prefer: prefer}
}

// CheckNameservers says what is wrong with those that hosts of Partners are to be asked of, nil for nothing.
func CheckNameservers(list []string) error {
	_, err := dns.New(dns.Config{Names: []string{"example.com"}, Servers: list})
	return err
}

// Names asks the DNS for the hosts of Partners' services, and writes the addresses that they have into those. A host that
// has none any more keeps what was written.
type Names struct {
	opts        Options
	nameservers []string
	wake        chan struct{}

	mu    sync.Mutex
	known map[weir.PartnerName]*asked
	work  sync.WaitGroup
}

// asked is what is known of one host.
type asked struct {
	stop       func() // nil while nobody asks
	addresses  []netip.Addr
	status     weir.NameStatus
	unkept     bool // the status differs from what is kept
	generation int64
}

// NewNames makes one that asks these name servers; none are the machine's.
func NewNames(o Options, nameservers []string) *Names {
	return &Names{opts: o, nameservers: nameservers, wake: make(chan struct{}, 1), known: map[weir.PartnerName]*asked{}}
}

// Run asks until ctx ends, which it does not take for an error.
func (n *Names) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() { cancel(); n.work.Wait() }()
	if err := n.load(ctx); err != nil {
		return unlessOver(ctx, err)
	}
	from := n.opts.Store.Revision()
	n.reconcile(ctx)
	n.work.Go(func() { n.write(ctx) })
	for ev, err := range n.opts.Store.Watch(ctx, from) {
		if err != nil {
			return unlessOver(ctx, fmt.Errorf("follow the store: %w", err))
		}
		for i := range ev.Change.Objects {
			if ev.Change.Objects[i].Kind == "Partner" {
				n.reconcile(ctx)
				n.rouse()
				break
			}
		}
	}
	return unlessOver(ctx, nil)
}

// load takes up what who asked before has kept. All names begin anew.
func (n *Names) load(ctx context.Context) error {
	values, err := n.opts.Store.Platforms(ctx, NamePrefix)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known = map[weir.PartnerName]*asked{}
	for _, v := range values {
		a := &asked{generation: v.Generation}
		if json.Unmarshal(v.Value.Bytes(), &a.status) != nil {
			a.status = weir.NameStatus{}
		}
		n.known[NameOf(v.Name)] = a
	}
	return nil
}

// reconcile asks for each name that some Partner has, and for no other.
func (n *Names) reconcile(ctx context.Context) {
	wanted := map[weir.PartnerName]bool{}
	for o := range n.opts.Store.View().All("Partner") {
		spec := o.Spec.(*weir.Partner)
		for i := range spec.Endpoints {
			if name, ok := spec.Endpoints[i].Asked(); ok {
				wanted[name] = true
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, a := range n.known {
		if wanted[name] {
			continue
		}
		if a.stop != nil {
			a.stop()
		}
		delete(n.known, name)
		n.work.Go(func() { n.forget(ctx, name, a.generation) })
	}
	for name := range wanted {
		a := n.known[name]
		if a == nil {
			a = &asked{}
			n.known[name] = a
		}
		if a.stop == nil {
			n.ask(ctx, name, a)
		}
	}
}

// preferred are the words of Partners for what package dns knows.
var preferred = map[string]dns.Family{weir.PreferIPv4: dns.PreferIPv4, weir.PreferIPv6: dns.PreferIPv6}

// ask begins to ask for a name; n.mu is held.
func (n *Names) ask(ctx context.Context, name weir.PartnerName, a *asked) {
	within, stop := context.WithCancel(ctx)
	a.stop = stop
	source, err := dns.New(dns.Config{
		Names: []string{name.Host}, Family: preferred[name.Prefer], Servers: n.nameservers,
		Dial: (&net.Dialer{}).DialContext, // whom to ask is nobody's choice but an admin's of the machine
	})
	if err != nil { // the rules of Partners are no weaker
		a.fail(err.Error(), n.opts.Clock())
		n.rouse()
		return
	}
	n.work.Go(func() { source.Watch(within, &listener{n, a, source}) })
}

func (a *asked) fail(why string, now time.Time) {
	if a.status.Error == "" {
		a.status.FailedAt = now.UTC()
	}
	a.unkept = a.unkept || a.status.Error != why
	a.status.Error = why
}

// rouse lets what was learned be written.
func (n *Names) rouse() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// listener is told of one name.
type listener struct {
	names  *Names
	asked  *asked
	source *dns.Source
}

// Part takes the addresses that the name has.
func (l *listener) Part(_ string, found []discovery.Found) {
	var list []netip.Addr
	for _, f := range found {
		if a, err := netip.ParseAddr(f.ID); err == nil {
			list = append(list, a)
		}
	}
	l.hears(weir.CanonicalAddresses(list))
}

// Whole says nothing new: there is one name.
func (l *listener) Whole([]string) {}

// Alive says that the name has what it had.
func (l *listener) Alive() { l.hears(nil) }

// hears notes an answer; nil is the one before.
func (l *listener) hears(addresses []netip.Addr) {
	servers, _ := l.source.Servers()
	l.names.mu.Lock()
	defer l.names.mu.Unlock()
	a := l.asked
	s := a.status
	if len(addresses) > 0 {
		if s.ResolvedAt.IsZero() || len(a.addresses) > 0 {
			s.ResolvedAt = l.names.opts.Clock().UTC()
		}
		a.addresses = addresses
	}
	s.Servers, s.Error, s.FailedAt = servers, "", time.Time{}
	a.unkept = a.unkept || fmt.Sprint(s) != fmt.Sprint(a.status)
	a.status = s
	l.names.rouse()
}

// Failed says that the name can't be learned; what was written stays.
func (l *listener) Failed(err error) {
	l.names.mu.Lock()
	defer l.names.mu.Unlock()
	l.asked.fail(err.Error(), l.names.opts.Clock())
	l.names.rouse()
}

// write brings what was learned into the store, again and again until it is there.
func (n *Names) write(ctx context.Context) {
	for {
		var again <-chan time.Time
		if err := n.writeOnce(ctx); err != nil && ctx.Err() == nil {
			n.opts.Log.Warn("write the addresses of partners", "error", err)
			again = time.After(writeAgain)
		}
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		case <-again:
		}
	}
}

func (n *Names) writeOnce(ctx context.Context) error {
	n.mu.Lock()
	addresses, unkept := map[weir.PartnerName][]netip.Addr{}, map[weir.PartnerName]*asked{}
	for name, a := range n.known {
		if len(a.addresses) > 0 {
			addresses[name] = a.addresses
		}
		if a.unkept {
			unkept[name] = a
		}
	}
	n.mu.Unlock()
	err := n.apply(ctx, addresses, "")
	if weir.KindOf(err) == weir.Invalid { // one that is refused holds up no other
		for o := range n.opts.Store.View().All("Partner") {
			if one := n.apply(ctx, addresses, o.Metadata.Name); one != nil {
				err = one
			}
		}
	}
	for name := range maps.Keys(unkept) {
		if kept := n.keep(ctx, name, unkept[name]); kept != nil {
			err = kept
		}
	}
	return err
}

// apply writes addresses into all Partners, or into one.
func (n *Names) apply(ctx context.Context, addresses map[weir.PartnerName][]netip.Addr, only string) error {
	changes := func(set *weir.Set) (writes []weir.Write) {
		for o := range set.All("Partner") {
			if only != "" && o.Metadata.Name != only {
				continue
			}
			if now, ok := o.Spec.(*weir.Partner).Having(addresses); ok {
				put := *o
				put.Spec = now
				writes = append(writes, weir.Write{Put: &put})
			}
		}
		return writes
	}
	if len(changes(n.opts.Store.View())) == 0 {
		return nil
	}
	_, err := n.opts.Store.Apply(ctx, store.Request{
		Author: NameAuthor, Reason: "the DNS has other addresses", Registers: true,
		Expand: func(base *weir.Set) ([]weir.Write, error) { return changes(base), nil },
	})
	return err
}

// keep writes down what is so of a name, for people and for who asks next.
func (n *Names) keep(ctx context.Context, name weir.PartnerName, a *asked) error {
	n.mu.Lock()
	status, generation := a.status, a.generation
	n.mu.Unlock()
	raw, err := json.Marshal(status)
	if err == nil {
		err = n.opts.Store.SetPlatform(ctx, nameRecord(name), raw, generation)
	}
	if weir.KindOf(err) == weir.Stale { // sealed anew meanwhile, or written by who did this before
		if _, generation, err = n.opts.Store.Platform(ctx, nameRecord(name)); err == nil || weir.KindOf(err) == weir.NotFound {
			err = n.opts.Store.SetPlatform(ctx, nameRecord(name), raw, generation)
		}
	}
	if err != nil {
		return fmt.Errorf("keep what is known of %s: %w", name.Host, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	a.generation = generation + 1
	a.unkept = fmt.Sprint(a.status) != fmt.Sprint(status)
	return nil
}

// forget drops what is kept of a name that nobody has.
func (n *Names) forget(ctx context.Context, name weir.PartnerName, generation int64) {
	if generation == 0 {
		return
	}
	if err := n.opts.Store.SetPlatform(ctx, nameRecord(name), nil, generation); err != nil && ctx.Err() == nil {
		n.opts.Log.Warn("what is kept of a name that is gone stays for now", "name", name.Host, "error", err)
	}
}
