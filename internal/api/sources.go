package api

import (
	"context"
	"iter"
	"time"

	"weir"
	"weir/internal/ir"
)

// Planner tells what a change would do to every load balancer that it concerns. It only reads: planning leaves
// no trace. Many goroutines call it at once.
type Planner interface {
	// Plan holds the objects before a change against those after it; written names what differs. The sets are
	// the caller's own copies and are not changed. Commands hold no secret's bytes. An error other than a
	// *weir.Error is told to clients only as "unavailable".
	Plan(ctx context.Context, before, after *weir.Set, written []weir.Ref) (PlanAnswer, error)
}

// PlanAnswer is what a change would do, load balancer by load balancer; those with nothing to do are left out.
type PlanAnswer struct {
	// LoadBalancers are sorted by group, then name.
	LoadBalancers []LoadBalancerPlan `json:"loadBalancers"`
	// Problems are objects, or parts of them, that would be left out, and why; all else would ship.
	Problems []weir.Problem `json:"problems,omitempty"`
	// Certificates says what becomes of certificates: ordered, shown and for how long they are good, shown no more.
	Certificates []PlanNote `json:"certificates,omitempty"`
	// Waves says for each group that it would go through in waves in which order, in a sentence.
	Waves []string `json:"waves,omitempty"`
	// Impact tells whose traffic it has to do with, the busiest sites first; ImpactLeftOut counts those that there is no
	// room for.
	Impact        []PlanImpact `json:"impact,omitempty"`
	ImpactLeftOut int          `json:"impactLeftOut,omitempty"`
}

// PlanImpact is what a change has to do with a site's traffic.
type PlanImpact struct {
	Site string `json:"site"`
	Role string `json:"role,omitempty"`
	// Touches says which requests: "all requests", "requests to /api", "nothing yet: it is new".
	Touches string `json:"touches"`
	// Requests are those of the whole site a second, in the last minute, Peak those in the busiest ten seconds of the last
	// hour; null where that is not known.
	Requests Point `json:"requests"`
	Peak     Point `json:"peak"`
	// Spare says what the site's zones could bear after the change; absent for one without several zones.
	Spare *PlanSpare `json:"spare,omitempty"`
}

// PlanSpare is what happens after a change to a site, sized so far that one of its zones may go, when it loses the one that
// is the worst to lose.
type PlanSpare struct {
	// Holds says that the other zones can carry it. Without is the zone that is lost; Zone would carry the most, Carries
	// per cent of what its servers can. Zone is empty when no other zone can take anything.
	Holds   bool   `json:"holds"`
	Without string `json:"without"`
	Zone    string `json:"zone,omitempty"`
	Carries int    `json:"carries,omitempty"`
}

// PlanNote says in a sentence what a change would do to an object.
type PlanNote struct {
	// Object is as "Certificate/www"; empty when it is about several.
	Object string `json:"object,omitempty"`
	// Text goes on where the object's name ends.
	Text string `json:"text"`
}

// LoadBalancerPlan is what one load balancer would do: run-time commands, or one reload with its reasons.
type LoadBalancerPlan struct {
	Name  string `json:"name"`
	Group string `json:"group"`
	Zone  string `json:"zone"`
	// Version is HAProxy's as its agent reported it last, on which the plan depends; empty when none has.
	Version string `json:"version,omitempty"`
	// Commands are run-time commands in the order in which they would be run.
	Commands []string `json:"commands,omitempty"`
	// Reload says why run-time commands are not enough; empty when they are.
	Reload []ReloadReason `json:"reload,omitempty"`
	// Sentences say the same for people, a line each: "add 2 servers to Pool/web-az1".
	Sentences []string `json:"sentences,omitempty"`
}

// ReloadReason is one cause of a reload.
type ReloadReason struct {
	// Object is what causes it, as "Site/www"; empty when several do, or Weir itself does.
	Object string `json:"object,omitempty"`
	// Text says what changes and why that takes a reload, as "port 8443 is new to the group: HAProxy opens ports only when it starts".
	Text string `json:"text"`
}

// StatusSource knows what is so: what the agents reported, and what the compiler made of the objects. All of it
// only reads, from memory, and many goroutines call it at once. What it returns is the caller's to read, not to
// change.
type StatusSource interface {
	// Status gives an object's conditions, nil when nothing is known of it. It is called for every object of a
	// collection and must be cheap.
	Status(o *weir.Object) *weir.Status
	// Moment gives Status and what the checks see for who asks of very many objects.
	Moment() Moment
	// Fleet gives the state of every group and load balancer, sorted by name.
	Fleet() FleetStatus
	// Wait gives how far the fleet is on its way to a revision: once at the beginning, then whenever that
	// differs, and ends after the first that is Done, or with ctx.
	Wait(ctx context.Context, revision int64) iter.Seq[Progress]
	// SiteCounts gives what the access logs counted, by the name of the site; sites without requests may be
	// left out.
	SiteCounts() map[string]SiteCounts
	// ServerHealth gives what each load balancer's checks see of a pool's servers, by server name; nil when no
	// load balancer has the pool.
	ServerHealth(pool string) []ServerHealth
	// Render gives the files that a load balancer is to have, by name: haproxy.cfg, its maps, lists and error
	// pages, and never a key, a secret, or a certificate's file. The error is weir.NotFound when there is no
	// such load balancer.
	Render(ctx context.Context, loadBalancer string) (map[string]string, error)
	// Concerns says whether a change concerns a group; one of which nobody knows any longer concerns all.
	Concerns(revision int64, group string) bool
	// Node gives what a load balancer is to do, as it was compiled last, and which servers its checks see up; up is nil
	// before its agent has told. ok is false when there is no such load balancer.
	Node(loadBalancer string) (node ir.Node, up func(pool, server string) bool, ok bool)
}

// Moment is what is so at one moment: what the load balancers have told is worked through once, however many objects are
// asked about. It is for one goroutine at a time.
type Moment interface {
	// Status is StatusSource's.
	Status(o *weir.Object) *weir.Status
	// Seen gives what the load balancers' checks see of a pool's servers, by server name; nil when no load balancer has
	// the pool.
	Seen(pool string) []SeenServer
}

// SeenServer is a server of a pool as all load balancers together see it.
type SeenServer struct {
	Server string
	// Up of Of load balancers would send it traffic. Of the others Out are those where somebody took it out, Starting those
	// that wait for its first check.
	Up, Of, Out, Starting int
	// State, Since and Check are what LoadBalancer sees, the first of those that would not; empty when all would.
	State, Check, LoadBalancer string
	Since                      time.Time
}

// FleetStatus is the state of the whole fleet at one moment.
type FleetStatus struct {
	// Version is the control plane's.
	Version string `json:"version"`
	// Revision is that of the newest change compiled.
	Revision int64         `json:"revision"`
	Groups   []GroupStatus `json:"groups"`
	// Restored tells of the restore that the store comes from; absent when there was none.
	Restored *Restored `json:"restored,omitempty"`
	// Strangers are agents that came in the last few minutes, of load balancers that do not exist.
	Strangers []Stranger `json:"strangers,omitempty"`
	// Servers counts the Servers by what their registrations say; absent while none has one.
	Servers *RegisteredServers `json:"servers,omitempty"`
	// NotIssued are the Certificates that can't be had, whether a site uses them or not: their last order came to
	// nothing, or their Issuer is not there. Each has the reason.
	NotIssued []weir.Problem `json:"notIssued,omitempty"`
	// Sources are the DiscoverySources that nothing can be learned from, whose servers can't be written, or that have lost
	// more at once than is believed. Each has what is the matter, and what becomes of its servers.
	Sources []weir.Problem `json:"sources,omitempty"`
	// Partners are those to whom a good part of the calls fails, or of whose services one has no address because the DNS
	// says none. Each has what is the matter.
	Partners []weir.Problem `json:"partners,omitempty"`
}

// RegisteredServers counts Servers by the states of their registrations.
type RegisteredServers struct {
	Healthy   int `json:"healthy"`
	Draining  int `json:"draining"`
	Withdrawn int `json:"withdrawn"`
	Stale     int `json:"stale"`
	// Unregistered have no registration.
	Unregistered int `json:"unregistered"`
}

// GroupStatus is the state of one load-balancer group.
type GroupStatus struct {
	Name string `json:"name"`
	// Wanted is the revision that the group's load balancers are to have read back.
	Wanted int64 `json:"wanted"`
	// Ready of Of load balancers have; only those that are Active count, reachable or not.
	Ready int `json:"ready"`
	Of    int `json:"of"`
	// Laggards are the names of those that have not.
	Laggards      []string             `json:"laggards,omitempty"`
	LoadBalancers []LoadBalancerStatus `json:"loadBalancers"`
	// Problems are what the compiler had to leave out of the group, by object and path.
	Problems []weir.Problem `json:"problems,omitempty"`
	// Waves is how far changes have come that go through it in waves; absent for a group that wants none.
	Waves *WaveStatus `json:"waves,omitempty"`
	// TicketKeys is how the keys of TLS session tickets are; absent before that is known.
	TicketKeys *TicketKeysStatus `json:"ticketKeys,omitempty"`
	// NotServing is what the group is to serve and does not, or not wholly; what is down comes first.
	NotServing []Outage `json:"notServing,omitempty"`
	// NotServingHidden counts what NotServing leaves out because the caller may not see it.
	NotServingHidden int `json:"notServingHidden,omitempty"`
}

// Outage is a site, a pool or a split that load balancers are to serve and do not, or not wholly. Ready says that they have
// what is wanted; this says what comes of it.
type Outage struct {
	// Object is as "Site/www", "Pool/web-az1" or "Split/canary".
	Object string `json:"object"`
	// Down says that clients get nothing of it there; else a part is missing, or something stands in for it.
	Down bool `json:"down"`
	// LoadBalancers are those on which it is so, by name.
	LoadBalancers []string `json:"loadBalancers"`
	// Reason is one of the NotServing constants, Message says the same for people with what it comes from.
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// The reasons of an Outage.
const (
	NotServingDown        = "NoServerUp"  // no server takes traffic: down, drained, in maintenance, or there is none
	NotServingNotAdmitted = "NotAdmitted" // no server has passed its first check yet, or has the registration it needs
	NotServingSilent      = "Silent"      // servers fell silent, and the pool's floor keeps them in
	NotServingQuarantined = "Quarantined" // HAProxy refuses it, and it has no earlier form
	NotServingNotBound    = "NotBound"    // the machine can't listen at the address
	NotServingUnseen      = "NotSeen"     // the load balancer has it and has not told of its servers yet
	// NotServingNoCertificate: TLS clients ask for host names that no certificate of the site is good for.
	NotServingNoCertificate = "NoCertificate"
	// NotServingUnspoken: a certificate or an authority is missing that partners of a way out are spoken to with.
	NotServingUnspoken = "Unspoken"
	NotServingLimited  = "RateLimited" // a RateLimit refuses a good part of a site's requests
	NotServingAborted  = "Aborted"     // load balancers have taken a leg of a Split out, as its abort says
)

// LoadBalancerStatus is what is known of one load balancer.
type LoadBalancerStatus struct {
	Name string `json:"name"`
	Zone string `json:"zone"`
	// State is what the LoadBalancer object says: Active, Drain or Maintenance.
	State weir.LoadBalancerState `json:"state"`
	// Run is how far its agent is: starting, applying, converged or failed; "unknown" when it was never heard.
	Run string `json:"run"`
	// Message says why when Run is failed.
	Message string `json:"message,omitempty"`
	// Ready says that Revision is the group's Wanted or newer and everything that is not quarantined was read back.
	Ready bool `json:"ready"`
	// Reachable says that the agent was heard within the time in which it must tell something.
	Reachable bool `json:"reachable"`
	// OtherHistory says that Revision and Seen are of the history before a restore, and not of this one.
	OtherHistory bool `json:"otherHistory,omitempty"`
	// Revision was read back from HAProxy; Seen is the newest that the agent has received.
	Revision int64     `json:"revision"`
	Seen     int64     `json:"seen"`
	LastSeen time.Time `json:"lastSeen,omitzero"`
	// Agent and HAProxy are versions.
	Agent   string        `json:"agent,omitempty"`
	HAProxy string        `json:"haproxy,omitempty"`
	Reloads ReloadsStatus `json:"reloads"`
	Ended   EndedStatus   `json:"ended,omitzero"`
	// Warnings are what is wrong with its machine although it serves, each with what to do.
	Warnings []Warning `json:"warnings,omitempty"`
	// Programmed, Pending and Quarantined count the resources that the load balancer has.
	Programmed  int `json:"programmed"`
	Pending     int `json:"pending"`
	Quarantined int `json:"quarantined"`
	// Deviations are what is pending or quarantined, by object.
	Deviations []Deviation `json:"deviations,omitempty"`
	// Drift is what other hands changed; absent when there was nothing.
	Drift *DriftStatus `json:"drift,omitempty"`
}

// ReloadsStatus counts a load balancer's reloads since its agent began.
type ReloadsStatus struct {
	Count   int            `json:"count"`
	Last    time.Time      `json:"last,omitzero"`
	Reasons []ReloadReason `json:"reasons,omitempty"` // of the last one
}

// EndedStatus counts how often a load balancer's HAProxy ended by itself since its agent began; it is started again.
type EndedStatus struct {
	Count int       `json:"count"`
	Last  time.Time `json:"last,omitzero"`
	Why   string    `json:"why,omitempty"` // of the last one, as far as it is known
}

// Warning is something wrong with a load balancer's machine.
type Warning struct {
	// Reason is one word: DiskFull, DiskReadOnly, ClockOff or TicketKeys.
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"since,omitzero"`
}

// Deviation is an object, or a part of it, that a load balancer does not have as wanted.
type Deviation struct {
	// Object is as "Pool/web-az1"; empty for what is nobody's.
	Object string `json:"object,omitempty"`
	// State is pending or quarantined.
	State   string    `json:"state"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// Progress is how far the fleet is on its way to a revision.
type Progress struct {
	Revision int64 `json:"revision"`
	// Programmed says that every Active load balancer that the revision concerns has it, or that it concerns none.
	Programmed bool `json:"programmed"`
	// Done says that there is nothing more to wait for: it is Programmed, and the load balancers have told what their
	// checks see of the servers that they now have, or took longer than a few seconds for that; or a group is Halted.
	Done   bool            `json:"done"`
	Groups []GroupProgress `json:"groups"`
}

// GroupProgress is the part of a group in Progress.
type GroupProgress struct {
	Name     string   `json:"name"`
	Ready    int      `json:"ready"`
	Of       int      `json:"of"`
	Laggards []string `json:"laggards,omitempty"`
	// Message says what holds the group up, when that is known.
	Message string `json:"message,omitempty"`
	// InWaves says that the revision, or what goes before it, is on its way in waves or waits for that.
	InWaves bool `json:"inWaves,omitempty"`
	// Halted says that waiting is of no use: the revision, or what goes before it, was sent back, or somebody stopped
	// it, as Message says.
	Halted bool `json:"halted,omitempty"`
}

// ServerHealth is one server of a pool as the load balancers see it.
type ServerHealth struct {
	Server string `json:"server"`
	// Up of Of load balancers would send it traffic.
	Up    int          `json:"up"`
	Of    int          `json:"of"`
	Views []ServerView `json:"views"`
}

// ServerView is what one load balancer sees of a server.
type ServerView struct {
	LoadBalancer string `json:"loadBalancer"`
	// State is up, down, starting, maint, drain or "no check".
	State string    `json:"state"`
	Since time.Time `json:"since,omitzero"`
	// Check is what the last health check said.
	Check string `json:"check,omitempty"`
	// Connections are those open now.
	Connections int `json:"connections,omitempty"`
}
