package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/secrets"
	"weir/internal/store"
)

// TrySource lets load balancers check servers. Many goroutines call it at once.
type TrySource interface {
	// Try has a load balancer run the check of a pool's servers once, and gives what it said, by server, as far as they are
	// told. An error that can be shown is a *weir.Error.
	Try(ctx context.Context, loadBalancer string, node ir.Node) (map[string]Tried, error)
	// Connected says whether a load balancer was heard of lately, so that it can be asked.
	Connected(loadBalancer string) bool
}

// TryAnswer is what a pool's check said of its servers.
type TryAnswer struct {
	Pool  string  `json:"pool"`
	Tried []Tried `json:"tried"`
	// Omitted counts servers of the pool that were not tried, because 16 are at once.
	Omitted int `json:"omitted,omitempty"`
}

// Tried is what the check of one server said.
type Tried struct {
	LoadBalancer string `json:"loadBalancer"`
	Server       string `json:"server"`
	// Address and Port are where the server was reached; empty and 0 for one at a socket.
	Address string    `json:"address,omitempty"`
	Port    weir.Port `json:"port,omitempty"`
	Passed  bool      `json:"passed"`
	// Status is HAProxy's word for what came of it: L4OK, L4CON, L4TOUT, L6RSP, L7OK, L7STS, L7RSP, L7TOUT and the like;
	// empty when the check was not over in time.
	Status string `json:"status,omitempty"`
	// Code is the status of an answer over HTTP.
	Code int `json:"code,omitempty"`
	// TookMs is how long the check took, in milliseconds.
	TookMs int `json:"tookMs"`
	// Said is what it said in words.
	Said string `json:"said"`
}

const (
	// maxTried is how many servers are tried at once.
	maxTried = 16
	// Whoever tries has some tries at once, and then one now and then.
	tryBurst = 20
	tryEvery = 3 * time.Second
	// maxTriers is how many subjects are remembered.
	maxTriers = 4096
)

var tryParams = []param{
	{name: "server", kind: "string", many: true, doc: "A server or member of the pool that is tried; the first 16 that are in when left out."},
	{name: "loadBalancer", kind: "string", doc: "The load balancer that tries; one near the servers when left out."},
}

// tryPool lets a load balancer run a pool's check before the pool is saved: by the right and by the rules by which it
// would be saved.
func (c *call) tryPool(kind weir.Kind) error {
	body, err := c.one(kind)
	if err != nil {
		return err
	}
	o, err := c.asSaved(body)
	if err != nil {
		return err
	}
	if c.h.opts.Tries == nil {
		return weir.Errorf(weir.Unavailable, "this server can't ask load balancers to check")
	}
	view := c.h.opts.Store.View()
	c.revision = view.Revision
	servers, omitted, err := c.triedServers(view, o)
	if err != nil {
		return err
	}
	lb, err := c.trier(view, o, servers)
	if err != nil {
		return err
	}
	base, _, ok := c.h.opts.Status.Node(lb)
	if !ok {
		return c.noSuch(weir.Ref{Kind: "LoadBalancer", Name: lb})
	}
	if !c.h.tried.may(c.who.Subject, c.h.opts.Clock()) {
		return weir.Errorf(tooMany, "checks are tried too often; wait some seconds")
	}
	node := ir.Node{Self: base.Self, Group: base.Group, Tuning: base.Tuning}
	pool, certificates := compile.Try(view, o, servers)
	node.Pools, node.Certificates = []ir.Pool{pool}, certificates
	c.auditTry(o, lb, &pool)
	results, err := c.h.opts.Tries.Try(c.r.Context(), lb, node)
	if err != nil {
		return err
	}
	answer := TryAnswer{Pool: o.Metadata.Name, Tried: []Tried{}, Omitted: omitted}
	for i := range pool.Servers {
		s := &pool.Servers[i]
		r := results[s.Name]
		r.LoadBalancer, r.Server, r.Said = lb, s.Name, printable(r.Said)
		if s.Address.IsValid() {
			r.Address, r.Port = s.Address.Addr().String(), weir.Port(s.Address.Port())
		}
		if r.Status == "" && r.Said == "" {
			r.Said = "the load balancer said nothing of it"
		}
		answer.Tried = append(answer.Tried, r)
	}
	return c.answer(http.StatusOK, answer)
}

// asSaved holds a pool against rights and rules as if it were saved, and gives it with its defaults.
func (c *call) asSaved(o *weir.Object) (*weir.Object, error) {
	before := c.h.opts.Store.View().Get(o.Ref())
	if err := Allowed(c.who, Write, before, o); err != nil {
		return nil, err
	}
	req := store.Request{Author: c.who.Subject, DryRun: true, Authorize: c.authorize(condition{}), Writes: []weir.Write{{Put: o}}}
	res, err := c.h.opts.Store.Apply(c.r.Context(), req)
	if err != nil {
		return nil, err
	}
	for _, change := range res.Change.Objects {
		if change.Ref == o.Ref() && change.After != nil {
			o = change.After
		}
	}
	if before != nil && len(res.Change.Objects) == 0 {
		o = before // it is that already
	}
	if check := o.Spec.(*weir.Pool).HealthCheck; check == nil || check.Type == "none" {
		return nil, &weir.Error{Kind: weir.Invalid, Message: "there is nothing to try", Problems: []weir.Problem{
			{Object: o.Ref().String(), Path: "spec.healthCheck", Message: "the pool has no health check"},
		}}
	}
	return o, nil
}

// triedServers chooses those that are tried, of which the caller may see all.
func (c *call) triedServers(view *weir.Set, o *weir.Object) (chosen []compile.Candidate, omitted int, err error) {
	named := c.r.URL.Query()["server"]
	if len(named) > maxTried {
		return nil, 0, queryProblem("server", fmt.Sprint(len(named), " names"), fmt.Sprintf("%d names at most", maxTried))
	}
	for _, one := range compile.Preview(view, o) {
		asked := slices.Contains(named, one.Name)
		switch {
		case one.Mismatch != "" || one.Misfit != "" || !c.mayPreview(o, &one):
		case len(named) > 0 && !asked, len(named) == 0 && !one.In():
		case len(chosen) == maxTried:
			omitted++
		default:
			chosen = append(chosen, one)
		}
	}
	for _, name := range named {
		if !slices.ContainsFunc(chosen, func(one compile.Candidate) bool { return one.Name == name }) {
			return nil, 0, queryProblem("server", name, "a server that the pool selects, or a member of it")
		}
	}
	if len(chosen) == 0 {
		return nil, 0, weir.Errorf(weir.Conflict, "no server is in %s, so that there is nothing to try; preview tells why", o.Ref())
	}
	return chosen, omitted, nil
}

// trier chooses the load balancer: the one named, else one that can be asked, of a group that has the pool, or at least
// one that the role may use, in the zone of the first server where there is one.
func (c *call) trier(view *weir.Set, o *weir.Object, servers []compile.Candidate) (string, error) {
	var groups []string
	if role := weir.Find[weir.Role](view, "Role", o.Metadata.Role); role != nil {
		groups = role.Groups
	}
	name := c.text("loadBalancer")
	best, score := "", -1
	zone := ""
	if first := servers[0].Object; first != nil {
		zone = first.Spec.(*weir.Server).Zone
	}
	for lb := range view.All("LoadBalancer") {
		spec := lb.Spec.(*weir.LoadBalancer)
		may := len(groups) == 0 || slices.Contains(groups, spec.Group)
		if lb.Metadata.Name == name {
			if !may {
				return "", weir.Errorf(weir.Forbidden, "role %q may not use group %s, whose load balancer %s is", o.Metadata.Role, spec.Group, name)
			}
			return name, nil
		}
		if name != "" || !may || !c.h.opts.Tries.Connected(lb.Metadata.Name) {
			continue
		}
		points := 0
		if node, _, ok := c.h.opts.Status.Node(lb.Metadata.Name); ok && slices.ContainsFunc(node.Pools, func(p ir.Pool) bool { return p.Name == o.Metadata.Name }) {
			points += 4
		}
		if spec.State == weir.Active {
			points += 2
		}
		if spec.Zone == zone {
			points++
		}
		if points > score {
			best, score = lb.Metadata.Name, points
		}
	}
	switch {
	case name != "":
		return "", c.noSuch(weir.Ref{Kind: "LoadBalancer", Name: name})
	case best == "":
		return "", weir.Errorf(weir.Unavailable, "no load balancer that role %q may use can be asked now", o.Metadata.Role)
	}
	return best, nil
}

// auditTry records who has what checked: it leaves no change behind.
func (c *call) auditTry(o *weir.Object, lb string, pool *ir.Pool) {
	var at []string
	for i := range pool.Servers {
		at = append(at, pool.Servers[i].At())
	}
	c.audit(secrets.AuditEntry{What: "try a pool's check", Object: o.Ref().String(), Outcome: "accepted", Reason: lb + " checks " + strings.Join(at, ", ")})
}

// tries bounds how often a subject tries.
type tries struct {
	mu   sync.Mutex
	full map[string]time.Time // when the subject has all its tries again
}

func (t *tries) may(subject string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full == nil {
		t.full = map[string]time.Time{}
	}
	full := t.full[subject]
	if full.Before(now) {
		full = now
	}
	next := full.Add(tryEvery)
	if next.Sub(now) > tryBurst*tryEvery {
		return false
	}
	if _, known := t.full[subject]; !known && len(t.full) >= maxTriers {
		for who, at := range t.full {
			if !at.After(now) {
				delete(t.full, who)
			}
		}
		if len(t.full) >= maxTriers {
			return false
		}
	}
	t.full[subject] = next
	return true
}
