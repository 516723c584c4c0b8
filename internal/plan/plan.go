// Package plan decides, as data, how a running HAProxy comes from what it has to what is wanted: run-time
// operations in an order that no client notices, or one reload with its reasons. It talks to nobody.
package plan

import "weir/internal/haproxy"

// Plan is everything that happens in one pass. A plan with reasons to reload has no operations: the files are
// on disk first, and a reload brings all of it at once.
type Plan struct {
	// Reload says why the run-time socket is not enough; empty when it is.
	Reload []Reason `json:"reload,omitempty"`
	// Ops are carried out one after the other; after each of them traffic is served as before or as wanted.
	Ops []Op `json:"ops,omitempty"`

	// after is what a reload brings, for Apply; it doesn't survive JSON.
	after *haproxy.Config
}

// Reason is one cause of a reload, as a sentence for people.
type Reason struct {
	// Owner is the object that causes it, as "Site/www", "" when several do or Weir itself does.
	Owner string `json:"owner,omitempty"`
	// Section is the part of haproxy.cfg, as "frontend http-8080"; "" when it is about all of it.
	Section string `json:"section,omitempty"`
	// Text says what changes and why that takes a reload, to people who don't know HAProxy's file, without a full
	// stop: "port 8443 is new to the group: HAProxy opens ports only when it starts".
	Text string `json:"text"`
}

// String gives the sentence with whose doing it is.
func (r Reason) String() string {
	if r.Owner == "" {
		return r.Text
	}
	return r.Text + " (" + r.Owner + ")"
}

// Empty says that there is nothing to do.
func (p Plan) Empty() bool { return len(p.Reload) == 0 && len(p.Ops) == 0 }

// Diff gives the plan that brings a HAProxy which has have to want. It depends on nothing but the two, and
// Diff(b, b) is empty. What it doesn't know how to change at run time is a reason to reload, never left out.
//
// Diff believes have: a server in it that is enabled and has a weight is taken to be up, unless it is Unproven, as
// after a WaitUp that did not end: then it is enabled and waited for again.
func Diff(have, want haproxy.Config) Plan {
	d := differ{have: &have, want: &want, leaving: map[string]bool{}, cold: map[string]*coldBackend{}}
	d.backends()
	if reasons := d.reasons(); len(reasons) > 0 {
		return Plan{Reload: reasons, after: &want}
	}
	d.certificates()
	d.crtLists()
	n := 0
	for _, b := range d.fresh {
		n += 2 + 3*len(b.Servers)
	}
	d.stages.serveIn = make([]Op, 0, n)
	for _, b := range d.fresh {
		d.newBackend(b)
	}
	for _, p := range d.changed {
		d.servers(p.have, p.want)
	}
	d.maps()
	d.waitForCold()
	for _, b := range d.gone {
		d.goneBackend(b)
	}
	return Plan{Ops: d.stages.all()}
}

// differ collects what differs, then the operations by stage.
type differ struct {
	have, want *haproxy.Config
	// fresh backends are in want alone, gone ones in have alone; changed ones differ.
	fresh, gone []*haproxy.Backend
	changed     []pair
	// leaving are the pools, by their names without digests, of gone backends.
	leaving map[string]bool
	// cold backends will serve but don't yet: before a map leads to one, its servers must be up.
	cold   map[string]*coldBackend
	stages stages

	freshSet, goneSet map[string]bool // names, made when asked for
}

type pair struct{ have, want *haproxy.Backend }

// coldBackend is a backend whose servers may be waited for before maps lead to it.
type coldBackend struct {
	name, owner string
	servers     []string
	wanted      bool // somebody waits
}

// stages holds the operations by the time at which they are safe; within a stage their order is that of the
// slice. What serves comes first, what takes away from it last.
type stages struct {
	certsIn []Op // files and list entries, so that names can be shown and servers can use them
	keysIn  []Op // map entries that tell a new backend how to check and time out
	serveIn []Op // backends, servers, weights; drains that need not wait for anything
	mapsIn  []Op // entries that lead to what already serves
	waits   []Op
	mapsHot []Op // entries that lead to what has been waited for
	mapsOut []Op
	remake  []Op // servers that can't stand beside the ones they replace
	drain   []Op // old servers, now that new ones are up
	remove  []Op // servers and backends that nobody uses
	keysOut []Op
	crtOut  []Op
	certOut []Op
}

func (s *stages) all() []Op {
	parts := [...][]Op{
		s.certsIn, s.keysIn, s.serveIn, s.mapsIn, s.waits, s.mapsHot, s.mapsOut, s.remake, s.drain, s.remove, s.keysOut, s.crtOut, s.certOut,
	}
	n, most := 0, []Op(nil)
	for _, p := range parts {
		if n += len(p); len(p) > len(most) {
			most = p
		}
	}
	if n == len(most) {
		return most // as a rule all are of one stage, and an Op is large
	}
	ops := make([]Op, 0, n)
	for _, p := range parts {
		ops = append(ops, p...)
	}
	return ops
}
