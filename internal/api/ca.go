package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/secrets"
)

// CASource is the control plane's CA, by which agents, clients and servers know each other. Many goroutines may
// ask it.
type CASource interface {
	// Believed gives the hashes of the CAs to believe, the issuing one first. It answers from memory.
	Believed() []string
	// Status tells how the CA and those who follow it stand.
	Status(ctx context.Context) (CAStatus, error)
	// Change takes one step of a change of CA for all servers of the store. A step that was taken already is no
	// error, and changes nothing. With force, those who have not followed are shut out.
	Change(ctx context.Context, step CAStep, force bool) (CAChange, error)
}

// CAStep is one step of a change of CA.
type CAStep string

// The steps of a change of CA.
const (
	CABegin    CAStep = "begin"    // a new CA is made and believed; the old one issues
	CAContinue CAStep = "continue" // the new one issues; both are believed
	CAFinish   CAStep = "finish"   // the old one is believed no more
	CACancel   CAStep = "cancel"   // before continue: the new one is thrown away
)

// The phases of a change of CA.
const (
	CASteady    = "steady"    // one CA; no change is under way
	CAAnnounced = "announced" // a new one is believed and does not issue yet
	CAIssuing   = "issuing"   // the new one issues, the old one is still believed
)

// CAStatus is how the CA stands, and who follows it.
type CAStatus struct {
	// Phase is steady, announced or issuing.
	Phase string `json:"phase"`
	// Authorities are the CAs that are believed, the issuing one first.
	Authorities []Authority `json:"authorities"`
	// Bundle holds their certificates in PEM.
	Bundle string `json:"bundle"`
	// Newest is the CA that the counts are about: the new one while there is one, else the only one. Of the Of
	// load balancers that are Active, Know have told that they believe it, and Use show a certificate of it.
	Newest string `json:"newest"`
	Know   int    `json:"know"`
	Use    int    `json:"use"`
	Of     int    `json:"of"`
	// LoadBalancers and Servers say so one by one; both are shown to those only who may see everything.
	LoadBalancers []CAFollower `json:"loadBalancers,omitempty"`
	Servers       []CAFollower `json:"servers,omitempty"`
	// Registered are the servers that register themselves.
	Registered CARegistered `json:"registered,omitzero"`
}

// AllRegistered stands in refusals, and for who was shut out, for the servers that register themselves.
const AllRegistered = "registered servers"

// CARegistered are the servers that register themselves and are heard, seen from the newest CA. Only a CA that is to issue
// waits for them: who believes it gets another certificate by itself.
type CARegistered struct {
	// Know of Of have told that they believe it.
	Know int `json:"know"`
	Of   int `json:"of"`
	// Unaware names some of the others, to those who may see everything.
	Unaware []string `json:"unaware,omitempty"`
}

// Authority is one CA.
type Authority struct {
	// CA is its hash, "sha256:" and 64 digits.
	CA        string    `json:"ca"`
	Name      string    `json:"name"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// Issues says that certificates come from it now; one at a time does.
	Issues bool `json:"issues"`
}

// CAFollower is a load balancer's agent or a server, seen from the newest CA.
type CAFollower struct {
	Name string `json:"name"`
	// State is what a LoadBalancer object says; only those that are Active hold a change up. Empty for a server.
	State weir.LoadBalancerState `json:"state,omitempty"`
	// Knows says that it believes the newest CA, Uses that it shows a certificate of it.
	Knows bool `json:"knows"`
	Uses  bool `json:"uses"`
	// Reachable says that it was heard lately, LastSeen when.
	Reachable bool      `json:"reachable"`
	LastSeen  time.Time `json:"lastSeen,omitzero"`
}

// CAChange is what a step made of the CA.
type CAChange struct {
	CAStatus
	// Changed is false when the step had been taken already.
	Changed bool `json:"changed"`
	// ShutOut are those who had not followed, and will have to join or log in again: "LoadBalancer/lb1".
	ShutOut []string `json:"shutOut,omitempty"`
}

// caHeader tells clients which CAs to pin from now on.
const caHeader = "Weir-CA"

var (
	stepParam  = param{name: "step", kind: "string", doc: "begin, continue, finish, or, before continue, cancel; begin when left out."}
	forceParam = param{name: "force", kind: "boolean", doc: "Shut out who has not followed yet."}
)

// tellCA puts the CAs to believe into every answer: who takes it from an authenticated connection is never left
// behind by a change.
func (h *Handler) tellCA(head http.Header) {
	if h.opts.CA != nil {
		head.Set(caHeader, strings.Join(h.opts.CA.Believed(), ","))
	}
}

func (c *call) authority() (CASource, error) {
	if c.h.opts.CA == nil {
		return nil, weir.Errorf(weir.Unavailable, "the control plane has no CA of its own")
	}
	return c.h.opts.CA, nil
}

func (c *call) caStatus() error {
	source, err := c.authority()
	if err != nil {
		return err
	}
	status, err := source.Status(c.r.Context())
	if err != nil {
		return err
	}
	if !c.who.Holds(weir.Viewer, "") {
		status.LoadBalancers, status.Servers, status.Registered.Unaware = nil, nil, nil
	}
	return c.answer(http.StatusOK, status)
}

func (c *call) changeCA() error {
	if !c.who.Holds(weir.Admin, "") {
		return weir.Errorf(weir.Forbidden, "changing the CA takes the right admin, which %s does not have", c.who.Subject)
	}
	source, err := c.authority()
	if err != nil {
		return err
	}
	step := CAStep(c.text("step"))
	if step == "" {
		step = CABegin
	}
	if !slices.Contains([]CAStep{CABegin, CAContinue, CAFinish, CACancel}, step) {
		return queryProblem("step", string(step), "begin, continue, finish or cancel")
	}
	force, err := c.flag("force")
	if err != nil {
		return err
	}
	change, err := source.Change(c.r.Context(), step, force)
	if err != nil {
		c.auditCA(step, "refused", err.Error())
		return err
	}
	said := "the newest is " + change.Newest
	if len(change.ShutOut) > 0 {
		said += "; shut out " + strings.Join(change.ShutOut, ", ")
	}
	if !change.Changed {
		said += "; it was done already"
	}
	c.auditCA(step, "accepted", said)
	return c.answer(http.StatusOK, change)
}

func (c *call) auditCA(step CAStep, outcome, said string) {
	if reason := c.text("reason"); reason != "" {
		said = reason + " (" + said + ")"
	}
	c.audit(secrets.AuditEntry{What: "change CA: " + string(step), Object: "CA", Outcome: outcome, Reason: said})
}
