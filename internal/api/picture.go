package api

import (
	"context"
	"maps"
	"sync"
	"time"

	"weir"
)

// picture is all objects with their states at one moment. It is made once for all who ask, whatever they may see, and
// each is then answered from it what they may. Parts of it are worked out when somebody first asks for them.
type picture struct {
	h    *Handler
	view *weir.Set
	// made is when it was begun, at the same moment by the clock that judges expiries.
	made, at time.Time

	mu     sync.Mutex
	took   time.Duration // that all of it has taken so far
	moment Moment
	fleet  *fleetView
	sheets map[string]*sheet
	pools  *poolIndex
	seen   map[string]map[string]SeenServer // by pool and server
	words  map[string]*wordList             // by kind
	zoned  *zoned
	web    *web
}

// sheet holds the objects of a kind with their states.
type sheet struct {
	lines  []*line
	byName map[string]*line
	busy   bool // the lines have their minute
}

// line is an object with its state.
type line struct {
	object *weir.Object
	state  State
	why    string
	// ready of of load balancers have it; of is 0 for what no load balancer is told of.
	ready, of int
	status    *weir.Status
	seen      []SeenServer
	moved     []*weir.Object
	lb        *lbView
	// minute is the traffic of the last minute, once somebody has asked for an order by it; what is not known is NaN.
	minute Traffic
}

// fleetView is the fleet, by the names in it.
type fleetView struct {
	status FleetStatus
	// outages are by object, lbs and groups by name.
	outages map[string][]Outage
	lbs     map[string]*lbView
	groups  map[string]*GroupStatus
	// hears are the active load balancers of a group that were heard lately.
	hears map[string]int
}

// lbView is a load balancer with its group.
type lbView struct {
	LoadBalancerStatus
	group  string
	behind time.Duration
}

// How old a picture may be: a second, or longer where making it costs much, so that pictures take a part of one core's
// time that is small however many ask, and never so long that people notice; after a change it is made anew sooner.
const (
	pictureFor    = time.Second
	pictureLong   = 5 * time.Second
	pictureCost   = 20 // times what it took
	pictureChange = 40 // the same, when something was changed since
	pictureSoon   = 2 * time.Second
	pictureCheap  = 5 * time.Millisecond // what takes no more is made anew after each change
)

// pictures has the newest.
type pictures struct {
	mu     sync.Mutex
	newest *picture
	// wrote is the revision of the last change of a subject, who is to see it at once.
	wrote map[string]int64
}

// note remembers who made a change.
func (s *pictures) note(subject string, revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrote == nil || len(s.wrote) > 10_000 {
		s.wrote = map[string]int64{}
	}
	s.wrote[subject] = revision
}

// picture gives one that is young enough for a subject.
func (h *Handler) picture(subject string) *picture {
	h.pictures.mu.Lock()
	defer h.pictures.mu.Unlock()
	now, p := time.Now(), h.pictures.newest
	var pools *poolIndex
	words := map[string]*wordList{}
	if p != nil {
		took, age := p.cost(), now.Sub(p.made)
		same := p.view.Revision == h.opts.Store.Revision()
		young := age < min(max(pictureFor, pictureCost*took), pictureLong)
		if young && (same || took > pictureCheap && age < min(pictureChange*took, pictureSoon) && p.view.Revision >= h.pictures.wrote[subject]) {
			return p
		}
		pools, words = p.known()
	}
	h.pictures.newest = &picture{
		h: h, view: h.opts.Store.View(), made: now, at: h.opts.Clock(), moment: h.opts.Status.Moment(),
		sheets: map[string]*sheet{}, seen: map[string]map[string]SeenServer{}, pools: pools, words: words,
	}
	return h.pictures.newest
}

// known gives what was worked out of the objects alone, which the next picture may take over.
func (p *picture) known() (*poolIndex, map[string]*wordList) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pools, maps.Clone(p.words)
}

func (p *picture) cost() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.took
}

// work runs f as the only one on the picture, and counts what that takes.
func (p *picture) work(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	start := time.Now()
	f()
	p.took += time.Since(start)
}

// of gives the sheet of a kind.
func (p *picture) of(kind string) (s *sheet) {
	p.work(func() { s = p.sheet(kind) })
	return s
}

// standing gives the fleet.
func (p *picture) standing() (f *fleetView) {
	p.work(func() { f = p.fleetView() })
	return f
}

// sheet works out the states of a kind's objects; p.mu is held.
func (p *picture) sheet(kind string) *sheet {
	if s := p.sheets[kind]; s != nil {
		return s
	}
	n := p.view.Len(kind)
	s := &sheet{lines: make([]*line, 0, n), byName: make(map[string]*line, n)}
	all := make([]line, n)
	for o := range p.view.All(kind) {
		l := &all[len(s.lines)]
		p.fill(l, o)
		s.lines, s.byName[o.Metadata.Name] = append(s.lines, l), l
	}
	p.sheets[kind] = s
	return s
}

// fill works out the state of one object.
func (p *picture) fill(l *line, o *weir.Object) {
	l.object, l.status, l.minute = o, p.moment.Status(o), unknownTraffic
	f := facts{object: o, now: p.at}
	if l.status != nil {
		f.conditions, f.certificate, f.issuer = l.status.Conditions, l.status.Certificate, l.status.Issuer
	}
	switch spec := o.Spec.(type) {
	case *weir.LoadBalancer:
		if l.lb = p.fleetView().lbs[o.Metadata.Name]; l.lb != nil {
			f.loadBalancer, f.behind = &l.lb.LoadBalancerStatus, l.lb.behind
		}
	case *weir.Site:
		f.outages = p.fleetView().outages[o.Ref().String()]
		for _, group := range p.groupsOf(spec) {
			f.hears += p.fleetView().hears[group]
		}
	case *weir.Pool:
		l.seen = p.moment.Seen(o.Metadata.Name)
		f.seen = l.seen
		if c := f.condition(weir.Serving); c != nil && c.Status == "Unknown" {
			f.members = p.index().count[o.Metadata.Name]
		}
	case *weir.Server:
		l.seen, l.moved = p.seenIn(o.Metadata.Name), p.movers(o.Metadata.Name)
		f.seen, f.moved = l.seen, l.moved
	}
	l.state, l.why = stateOf(&f)
	if c := f.condition(weir.Programmed); c != nil {
		l.ready, l.of = c.Ready, c.Of
	}
}

// stateOf gives the state of one object, without a look at the others of its kind.
func (p *picture) stateOf(o *weir.Object) (state State, why string) {
	p.work(func() {
		l := new(line)
		if s := p.sheets[o.Kind]; s != nil {
			l = s.byName[o.Metadata.Name]
		} else {
			p.fill(l, o)
		}
		state, why = l.state, l.why
	})
	return state, why
}

// groupsOf are the groups that a site is for: those of its addresses.
func (p *picture) groupsOf(s *weir.Site) (groups []string) {
	for _, name := range s.Addresses {
		if a := weir.Find[weir.IPAddress](p.view, "IPAddress", name); a != nil {
			groups = appendNew(groups, a.Groups...)
		}
	}
	return groups
}

// appendNew adds what is not there yet; lists are short.
func appendNew[T comparable](list []T, more ...T) []T {
next:
	for _, one := range more {
		for _, old := range list {
			if old == one {
				continue next
			}
		}
		list = append(list, one)
	}
	return list
}

// fleetView reads the fleet; p.mu is held.
func (p *picture) fleetView() *fleetView {
	if p.fleet != nil {
		return p.fleet
	}
	f := &fleetView{status: p.h.opts.Status.Fleet(), outages: map[string][]Outage{}, lbs: map[string]*lbView{}, groups: map[string]*GroupStatus{}, hears: map[string]int{}}
	for i := range f.status.Groups {
		g := &f.status.Groups[i]
		f.groups[g.Name] = g
		for _, o := range g.NotServing {
			f.outages[o.Object] = append(f.outages[o.Object], o)
		}
		for _, lb := range g.LoadBalancers {
			v := &lbView{LoadBalancerStatus: lb, group: g.Name}
			if !lb.Ready {
				v.behind = p.behind(lb.Revision)
			}
			f.lbs[lb.Name] = v
			if lb.State == weir.Active && lb.Reachable {
				f.hears[g.Name]++
			}
		}
	}
	p.fleet = f
	return f
}

// behind says how long ago the first change was made that a revision does not have.
func (p *picture) behind(revision int64) time.Duration {
	about, ok := p.h.touches.of(context.Background(), p.h.opts.Store, revision+1)
	if !ok {
		return behindFor // it is no longer kept, and so is long ago
	}
	return p.at.Sub(about.At)
}
