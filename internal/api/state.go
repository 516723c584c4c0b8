package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
)

// State is how something is, in a word.
type State string

// The states, the best first.
const (
	StateServing  State = "serving"
	StateUnused   State = "unused"   // nothing that is served uses it, so nobody tells of it
	StateUnknown  State = "unknown"  // nobody has told yet
	StateDegraded State = "degraded" // it does what it is for, and somebody should look
	StateDown     State = "down"     // it does not do what it is for
)

// states are those that something can be in, the worst first.
var states = []State{StateDown, StateDegraded, StateUnknown, StateUnused, StateServing}

// worse orders states, the worst first.
func (s State) worse(t State) int { return slices.Index(states, s) - slices.Index(states, t) }

// facts are all that the state of an object hangs on.
type facts struct {
	object     *weir.Object
	conditions []weir.Condition
	// outages are what load balancers tell of it, hears how many active ones were heard lately of those that it is for.
	outages []Outage
	hears   int
	// seen are a pool's servers, or a server in each of its pools.
	seen []SeenServer
	// members is how many servers a pool has by its objects.
	members int
	// moved are the Overrides that hold for a server.
	moved []*weir.Object
	// loadBalancer is of a LoadBalancer, behind how long it has not had what is wanted.
	loadBalancer *LoadBalancerStatus
	behind       time.Duration
	certificate  *weir.CertificateStatus
	issuer       *weir.IssuerStatus
	now          time.Time
}

// silentFor is after which time a load balancer that says nothing counts as down, behindFor after which one that follows
// a change counts as degraded.
const (
	silentFor = time.Minute
	behindFor = 10 * time.Second
)

// stateOf says how an object is, and in a sentence why it does not serve. It is empty for kinds that no load balancer is
// told of.
func stateOf(f *facts) (State, string) {
	if f.object.Kind == "LoadBalancer" {
		return f.ofLoadBalancer()
	}
	if len(f.conditions) == 0 {
		return "", ""
	}
	state, why := StateServing, ""
	for _, judge := range []func() (State, string){f.ofUse, f.ofKind, f.ofConditions} {
		if s, text := judge(); s.worse(state) < 0 {
			state, why = s, text
		}
	}
	return state, why
}

// condition finds one by its type.
func (f *facts) condition(kind string) *weir.Condition {
	for i := range f.conditions {
		if f.conditions[i].Type == kind {
			return &f.conditions[i]
		}
	}
	return nil
}

func (f *facts) is(kind, status string) (*weir.Condition, bool) {
	c := f.condition(kind)
	return c, c != nil && c.Status == status
}

// ofUse says what is not in use, or has reached nobody yet.
func (f *facts) ofUse() (State, string) {
	p := f.condition(weir.Programmed)
	left, out := f.is(weir.Accepted, "False")
	switch {
	case p == nil:
		return StateServing, ""
	case p.Of == 0 && out:
		return StateDown, "left out: " + left.Message
	case p.Of == 0 && f.object.Kind == "Certificate":
		return StateServing, "" // one that no site shows yet is good all the same
	case f.unused():
		return StateUnused, p.Message
	case p.Of == 0:
		return StateUnknown, p.Message
	case p.Ready == 0 && len(f.outages) == 0:
		return StateUnknown, p.Message
	}
	return StateServing, ""
}

// ofConditions says what is wrong with a part of an object.
func (f *facts) ofConditions() (State, string) {
	if c, ok := f.is(weir.Accepted, "False"); ok {
		return StateDegraded, "left out: " + c.Message
	}
	if c, ok := f.is(weir.Quarantined, "True"); ok {
		return StateDegraded, "quarantined: " + c.Message
	}
	if c, ok := f.is(weir.Programmed, "False"); ok && c.Reason == "NotServed" {
		return StateDegraded, c.Message
	}
	for _, kind := range []string{weir.Watched, weir.Believed, weir.Resolved, weir.Issued, weir.Divided, weir.Answering} {
		if c, ok := f.is(kind, "False"); ok {
			return StateDegraded, c.Message
		}
	}
	if c, ok := f.is(weir.Drifted, "True"); ok {
		return StateDegraded, "changed by hand: " + c.Message
	}
	if c, ok := f.is(weir.Answering, "Unknown"); ok {
		return StateUnknown, c.Message
	}
	return StateServing, ""
}

// unused says that no load balancer is told of the object, so that there is nothing to see of it.
func (f *facts) unused() bool {
	p, unknown := f.is(weir.Programmed, "Unknown")
	return unknown && p.Of == 0 && p.Reason == "NotInUse"
}

func (f *facts) ofKind() (State, string) {
	switch spec := f.object.Spec.(type) {
	case *weir.Site:
		return f.ofSite()
	case *weir.Pool:
		return f.ofPool()
	case *weir.Server:
		return f.ofServer()
	case *weir.Certificate:
		return f.ofCertificate(spec)
	case *weir.Issuer:
		return f.ofIssuer()
	}
	return StateServing, ""
}

// ofSite goes by what the load balancers can't serve of it.
func (f *facts) ofSite() (State, string) {
	down := map[string]bool{}
	state, first, rest := StateServing, Outage{}, 0
	for _, o := range f.outages {
		s := StateDegraded
		if o.Reason == NotServingUnseen {
			s = StateUnknown
		}
		if o.Down {
			for _, lb := range o.LoadBalancers {
				down[lb] = true
			}
		}
		rest++
		if s.worse(state) < 0 || o.Down && !first.Down {
			state, first = s, o
		}
	}
	switch {
	case state == StateServing && f.hears == 0:
		if p := f.condition(weir.Programmed); p != nil && p.Of > 0 {
			return StateUnknown, "no load balancer that it is for was heard lately"
		}
		return StateServing, ""
	case state == StateServing:
		return state, ""
	case len(down) > 0 && len(down) >= f.hears:
		state = StateDown
	}
	word := map[State]string{StateDown: "does not serve: ", StateDegraded: "serves in part: "}[state]
	text := word + first.Message
	if len(first.LoadBalancers) < f.hears {
		text += " (on " + someNames(first.LoadBalancers) + ")"
	}
	if rest > 1 {
		text += fmt.Sprintf("; and %d more", rest-1)
	}
	return state, text
}

// ofPool goes by its servers; those that somebody took out are none the worse for it.
func (f *facts) ofPool() (State, string) {
	c := f.condition(weir.Serving)
	switch {
	case c == nil || f.unused():
		return StateServing, ""
	case c.Status == "False":
		return StateDown, c.Message
	case c.Status == "Unknown" && f.members == 0:
		return StateDown, "no server is in it"
	case c.Status == "Unknown":
		return StateUnknown, c.Message
	}
	var bad []string
	for i := range f.seen {
		// One that was taken out, or comes just now, is nothing to worry about.
		if s := &f.seen[i]; s.Up < s.Of && s.Out == 0 && s.Starting < s.Of {
			bad = append(bad, s.Server)
		}
	}
	if len(bad) > 0 {
		return StateDegraded, fmt.Sprintf("%d of %s not up everywhere: %s", len(bad), countOf(len(f.seen), "server is", "servers are"), someNames(bad))
	}
	if a, ok := f.is(weir.Admitted, "False"); ok {
		return StateDegraded, a.Message
	}
	return StateServing, ""
}

// ofServer goes by what the checks see of it in all of its pools.
func (f *facts) ofServer() (State, string) {
	a := f.condition(weir.Admitted)
	if f.unused() {
		return StateServing, ""
	}
	if a != nil && a.Status == "Unknown" {
		return StateUnknown, a.Message
	}
	if text := f.byHand(); text != "" {
		return StateDegraded, text
	}
	if a != nil && a.Status == "False" {
		if a.Reason == "Stale" && a.Ready == 0 {
			return StateDown, a.Message
		}
		return StateDegraded, a.Message
	}
	var up, of, out, starting int
	bad := SeenServer{}
	for _, s := range f.seen {
		up, of, out, starting = up+s.Up, of+s.Of, out+s.Out, starting+s.Starting
		if s.Up < s.Of && bad.LoadBalancer == "" {
			bad = s
		}
	}
	said := bad.State
	if bad.Check != "" {
		said += ": " + bad.Check
	}
	switch {
	case of == 0:
		return StateUnknown, "no load balancer has told of it yet"
	case up == of:
		return StateServing, ""
	case up == 0 && starting == of:
		return StateUnknown, "its first check is awaited"
	case up == 0 && out == of:
		return StateDegraded, "drained or in maintenance"
	case up == 0:
		return StateDown, said
	}
	return StateDegraded, fmt.Sprintf("up on %d of %d: %s is %s", up, of, bad.LoadBalancer, said)
}

// byHand says what takes a server out, empty when nothing does. Why is told of what whoever sees the server may see, too.
func (f *facts) byHand() string {
	words := map[string]string{weir.StateDrain: "drained", weir.StateMaintenance: "in maintenance"}
	for _, o := range f.moved {
		spec := o.Spec.(*weir.Override)
		if words[spec.State] == "" {
			continue
		}
		text := words[spec.State] + " by hand until " + when(spec.ExpiresAt)
		if role := o.Metadata.Role; role == "" || role == f.object.Metadata.Role {
			text += ": " + spec.Reason
		}
		return text
	}
	return ""
}

// soon says that a certificate ends so soon that somebody should look: in its last third or thirty days, and in its last
// week however short it was made; one that is renewed by itself may be used longer.
func soon(spec *weir.Certificate, now time.Time) bool {
	if spec.Info == nil || !now.Before(spec.Info.NotAfter) {
		return false
	}
	life := spec.Info.NotAfter.Sub(spec.Info.NotBefore)
	within := max(min(life/3, 30*24*time.Hour), 7*24*time.Hour)
	if spec.Issuer != "" {
		within = life / 4
	}
	return spec.Info.NotAfter.Sub(now) < within
}

func (f *facts) ofCertificate(spec *weir.Certificate) (State, string) {
	uses := 0
	if f.certificate != nil {
		uses = f.certificate.Uses
	}
	switch {
	case spec.Revoked != nil && uses > 0:
		return StateDown, "revoked, and still in use"
	case spec.Info == nil:
		return StateUnknown, "there is none yet"
	case !f.now.Before(spec.Info.NotAfter):
		return StateDown, "ended at " + when(spec.Info.NotAfter)
	case soon(spec, f.now):
		return StateDegraded, "ends at " + when(spec.Info.NotAfter)
	}
	return StateServing, ""
}

func (f *facts) ofIssuer() (State, string) {
	if f.issuer == nil {
		return StateServing, ""
	}
	if n := f.issuer.Certificates[weir.RenewalFailing] + f.issuer.Certificates[weir.RenewalStuck]; n > 0 {
		return StateDegraded, countOf(n, "certificate", "certificates") + " can't be had"
	}
	return StateServing, ""
}

// ofLoadBalancer goes by what it has told of itself, as status shows it.
func (f *facts) ofLoadBalancer() (State, string) {
	lb := f.loadBalancer
	asked, _ := f.object.Spec.(*weir.LoadBalancer)
	off := ""
	if asked != nil && asked.State != weir.Active && asked.State != "" {
		off = "in " + string(asked.State)
	}
	silent := time.Duration(0)
	if lb != nil {
		silent = f.now.Sub(lb.LastSeen)
	}
	switch {
	case lb == nil || lb.Run == "unknown" || lb.LastSeen.IsZero():
		return StateUnknown, cmp.Or(off, "was never heard: is its agent running?")
	case !lb.Reachable && off != "":
		return StateUnknown, off + ", and silent for " + silent.Round(time.Second).String()
	case !lb.Reachable && silent >= silentFor:
		return StateDown, "silent for " + silent.Round(time.Second).String()
	case lb.Run == "failed":
		return StateDown, "failed: " + lb.Message
	case !lb.Reachable:
		return StateDegraded, "silent for " + silent.Round(time.Second).String()
	case off != "":
		return StateDegraded, off
	}
	return f.troubles(lb)
}

// troubles are of a load balancer that serves.
func (f *facts) troubles(lb *LoadBalancerStatus) (State, string) {
	var why []string
	if lb.OtherHistory {
		why = append(why, "keeps what it had before the restore")
	} else if !lb.Ready && f.behind >= behindFor {
		text := fmt.Sprintf("%s, has revision %d", lb.Run, lb.Revision)
		if lb.Message != "" {
			text += ": " + lb.Message
		}
		why = append(why, text)
	}
	if lb.Quarantined > 0 {
		why = append(why, fmt.Sprintf("%d quarantined", lb.Quarantined))
	}
	if lb.Drift != nil && lb.Drift.Total > 0 {
		why = append(why, countOf(lb.Drift.Total, "change", "changes")+" by hand")
	}
	for _, w := range lb.Warnings {
		why = append(why, w.Message)
	}
	if len(why) > 0 {
		return StateDegraded, strings.Join(why, "; ")
	}
	return StateServing, ""
}

// countOf is "1 server" and "2 servers".
func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// someNames gives the first few of a list.
func someNames(names []string) string {
	const most = 4
	if more := len(names) - most; more > 1 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// when is a moment as people read it.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
