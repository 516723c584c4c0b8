package link

import (
	"encoding/json"
	"sort"
	"time"
	"unicode/utf8"
)

// RunState is how far an agent is, in a word.
type RunState string

// The states of an agent.
const (
	Starting  RunState = "starting"  // HAProxy does not run yet
	Applying  RunState = "applying"  // a newer state is on its way into HAProxy
	Converged RunState = "converged" // HAProxy was read back and is as Hash says, deviations excepted
	Failed    RunState = "failed"    // it can't get there; Message says why
	// HandedBack says that HAProxy is somebody else's again and the agent does not look after it.
	HandedBack RunState = "handed back"
)

// Report is what an agent says of its HAProxy.
type Report struct {
	// Agent and HAProxy are versions.
	Agent   string `json:"agent"`
	HAProxy string `json:"haproxy"`
	// Epoch, Revision and Hash name the state applied last and read back; Seen is the newest revision received.
	Epoch    string   `json:"epoch"`
	Revision int64    `json:"revision"`
	Hash     Hash     `json:"hash"`
	Seen     int64    `json:"seen"`
	State    RunState `json:"state"`
	Message  string   `json:"message,omitempty"`
	// Worker is HAProxy's process, Started when it began.
	Worker    int            `json:"worker,omitempty"`
	Started   time.Time      `json:"started,omitzero"`
	Resources ResourceReport `json:"resources"`
	// Looks counts how often Servers and Counts were read; a report can go out for another reason. 0 is of agents
	// that don't count.
	Looks uint64 `json:"looks,omitempty"`
	// Servers is what the health checks see, by pool and server.
	Servers map[string]map[string]ServerHealth `json:"servers,omitempty"`
	Reloads ReloadReport                       `json:"reloads"`
	Ended   EndReport                          `json:"ended,omitzero"`
	// Warnings are what is wrong with the machine although HAProxy goes on.
	Warnings []Warning `json:"warnings,omitempty"`
	// Now is the agent's clock when this was sent; it is filled in on the way.
	Now time.Time `json:"now,omitzero"`
	// Counts are the access log's counters, as they are; those by site are in Traffic.
	Counts json.RawMessage `json:"counts,omitempty"`
	// Whole gives all of the access log's counters in one text, for control planes that don't take Traffic; it is not sent.
	Whole func() json.RawMessage `json:"-"`
	// Traffic is what the access log counted by site, pool and zone; nil of agents that have it in Counts.
	Traffic *Table `json:"traffic,omitempty"`
	// Calls is what the access log counted of calls to partners, by who called whom; nil where there were none.
	Calls *Table `json:"calls,omitempty"`
	// Machine is how the load balancer's machine is off; nil of agents that don't tell.
	Machine *MachineReport `json:"machine,omitempty"`
	// Figures are what HAProxy itself has counted over all its workers, a tally.Figures as it is.
	Figures json.RawMessage `json:"figures,omitempty"`
	// Plan holds the operations executed last, one a line; the newest come last.
	Plan []string `json:"plan,omitempty"`
	// Passes are the newest states that HAProxy was brought to, and how; nil in a post that builds on one with the same.
	Passes []PassReport `json:"passes,omitempty"`
	// Spare names what HAProxy has beyond what is wanted and keeps until its next reload, so that plans can be
	// made as if by the agent: see plan.Spare.
	Spare []string `json:"spare,omitempty"`
	// Drift is what other hands changed; nil when there is nothing to tell of.
	Drift *DriftReport `json:"drift,omitempty"`
	// Tickets is how the load balancer stands with TLS ticket keys; nil of agents that know nothing of them.
	Tickets *TicketReport `json:"tickets,omitempty"`
	// Shown is the certificate that the agent has shown; the control plane fills it in, whatever the agent says.
	Shown []byte `json:"shown,omitempty"`
	// Believes are the hashes of the CAs that the agent believes, Issuer is that of the CA whose certificate it
	// shows; both are filled in on the way.
	Believes []string `json:"believes,omitempty"`
	Issuer   string   `json:"issuer,omitempty"`
}

// ResourceState is how far one resource is.
type ResourceState string

// The states of a resource.
const (
	Programmed  ResourceState = "programmed"  // read back
	Pending     ResourceState = "pending"     // not yet read back
	Quarantined ResourceState = "quarantined" // HAProxy refused it; its last good form stays
)

// ResourceReport counts all resources and names those that are not programmed.
type ResourceReport struct {
	Programmed  int `json:"programmed"`
	Pending     int `json:"pending"`
	Quarantined int `json:"quarantined"`
	// Deviations are by resource ID; the counts hold where the list is cut.
	Deviations map[string]Deviation `json:"deviations,omitempty"`
}

// The reasons of a quarantine.
const (
	Refused        = "Refused"        // HAProxy refuses it; its last good form stays
	RefusedAtFirst = "RefusedAtFirst" // HAProxy refuses it, and it has no earlier form
	CannotBind     = "CannotBind"     // the machine can't listen at the address, or connect from it
	CannotBindUDP  = "CannotBindUDP"  // nor there for HTTP/3, while all else serves
	TooNew         = "TooNew"         // the agent is too old for it; what it had of it stays
)

// The reasons why a certificate that HAProxy has is pending.
const (
	NotProven = "NotProven" // a handshake that shows it is awaited
	NotServed = "NotServed" // a handshake shows another one, or none
)

// Deviation is a resource that is not programmed.
type Deviation struct {
	State   ResourceState `json:"state"`
	Reason  string        `json:"reason"`
	Message string        `json:"message"`
	Since   time.Time     `json:"since"`
}

// Health is how HAProxy sees a server.
type Health string

// The health of a server.
const (
	Up         Health = "up"
	Down       Health = "down"
	StartingUp Health = "starting" // checked, but not often enough yet
	Maint      Health = "maint"
	Drain      Health = "drain"
	NoCheck    Health = "no check"
)

// ServerHealth is one server of a pool.
type ServerHealth struct {
	State Health    `json:"state"`
	Since time.Time `json:"since,omitzero"`
	// Check is what the last check said.
	Check string `json:"check,omitempty"`
	// Connections are those open now.
	Connections int `json:"connections,omitempty"`
}

// ReloadReport counts reloads since the agent began.
type ReloadReport struct {
	Count   int       `json:"count"`
	Last    time.Time `json:"last,omitzero"`
	Reasons []string  `json:"reasons,omitempty"` // of the last one
}

// EndReport counts how often HAProxy ended although nobody had asked it to, since the agent began.
type EndReport struct {
	Count int       `json:"count,omitempty"`
	Last  time.Time `json:"last,omitzero"`
	Why   string    `json:"why,omitempty"` // of the last one, as far as it is known
}

// TicketReport is how a load balancer stands with the TLS ticket keys of its group.
type TicketReport struct {
	// Generation is the current one as read back from HAProxy, or that of the file that it will read when it starts; 0
	// while it has keys of its own.
	Generation int64 `json:"generation,omitempty"`
	// Off says why the load balancer takes no part in them; empty when it does.
	Off string `json:"off,omitempty"`
	// Failed is when it last could not do what it was asked for, Message why it could not, or has not the current keys.
	Failed  time.Time `json:"failed,omitzero"`
	Message string    `json:"message,omitempty"`
}

func (t *TicketReport) bound() *TicketReport {
	if t == nil {
		return nil
	}
	out := *t
	out.Off, out.Message = cutText(t.Off), cutText(t.Message)
	return &out
}

// Warning is something wrong with a machine, and what to do.
type Warning struct {
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// The reasons of warnings.
const (
	DiskFull     = "DiskFull"     // what is wanted can't be kept
	DiskReadOnly = "DiskReadOnly" // the same
	ClockOff     = "ClockOff"     // the machine's clock is not the control plane's
	TicketKeys   = "TicketKeys"   // TLS clients resume with this load balancer alone, or not at all
)

// The bounds of a report; what is beyond them is cut off, since an agent in trouble must still be heard.
const (
	maxDeviations = 5000
	maxText       = 2 << 10
	maxOperations = 200
	maxReasons    = 50
	maxSpare      = 2000
	maxBelieved   = 8
	maxShown      = 16 << 10
	maxWarnings   = 20
	maxCounts     = 4 << 20
	maxFigures    = 4 << 20
	maxServers    = 150_000
)

// bound cuts a report to size. It changes no slice or map that it was given.
func (r Report) bound() Report { return r.boundBut(boundServers(r.Servers)) }

// boundBut is bound for a report whose servers are known to fit.
func (r Report) boundBut(servers map[string]map[string]ServerHealth) Report {
	r.Agent, r.HAProxy, r.Message = version(r.Agent), version(r.HAProxy), cutText(r.Message)
	r.State = RunState(cutText(string(r.State)))
	if len(r.Epoch) > 64 {
		r.Epoch = ""
	}
	r.Resources.Deviations = boundDeviations(r.Resources.Deviations)
	r.Servers = servers
	r.Reloads.Reasons = boundTexts(r.Reloads.Reasons, maxReasons)
	r.Ended.Why = cutText(r.Ended.Why)
	r.Warnings = boundWarnings(r.Warnings)
	r.Plan = boundTexts(r.Plan, maxOperations)
	r.Passes = boundPasses(r.Passes)
	r.Spare = boundTexts(r.Spare, maxSpare)
	r.Drift = r.Drift.bound()
	r.Tickets = r.Tickets.bound()
	if len(r.Shown) > maxShown {
		r.Shown = nil
	}
	r.Believes, r.Issuer = boundTexts(r.Believes, maxBelieved), cutText(r.Issuer)
	if len(r.Counts) > maxCounts || !json.Valid(r.Counts) {
		r.Counts = nil
	}
	if len(r.Figures) > maxFigures || !json.Valid(r.Figures) {
		r.Figures = nil
	}
	r.Traffic, r.Calls = r.Traffic.bound(), r.Calls.bound()
	return r
}

func boundDeviations(all map[string]Deviation) map[string]Deviation {
	if len(all) == 0 {
		return nil
	}
	ids := make([]string, 0, len(all))
	for id := range all {
		if checkID(id) == nil {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	out := make(map[string]Deviation, min(len(ids), maxDeviations))
	for _, id := range ids[:min(len(ids), maxDeviations)] {
		d := all[id]
		d.State, d.Reason, d.Message = ResourceState(cutText(string(d.State))), cutText(d.Reason), cutText(d.Message)
		out[id] = d
	}
	return out
}

// boundServers leaves out whole pools, in the order of their names, once there are too many servers.
func boundServers(all map[string]map[string]ServerHealth) map[string]map[string]ServerHealth {
	count, long := 0, false
	for _, servers := range all {
		count += len(servers)
		for name, s := range servers {
			long = long || len(s.Check) > maxText || len(s.State) > 64 || len(name) > 255
		}
	}
	if count <= maxServers && !long {
		return all
	}
	pools := make([]string, 0, len(all))
	for pool := range all {
		pools = append(pools, pool)
	}
	sort.Strings(pools)
	out, room := map[string]map[string]ServerHealth{}, maxServers
	for _, pool := range pools {
		if room -= len(all[pool]); room < 0 {
			break
		}
		servers := make(map[string]ServerHealth, len(all[pool]))
		for name, s := range all[pool] {
			if len(name) <= 255 && len(s.State) <= 64 {
				s.Check = cutText(s.Check)
				servers[name] = s
			}
		}
		out[pool] = servers
	}
	return out
}

func boundWarnings(list []Warning) []Warning {
	var out []Warning
	for _, w := range list[:min(len(list), maxWarnings)] {
		w.Reason, w.Message = cutText(w.Reason), cutText(w.Message)
		out = append(out, w)
	}
	return out
}

// boundTexts keeps the last n.
func boundTexts(list []string, n int) []string {
	list = list[max(0, len(list)-n):]
	var out []string
	for _, s := range list {
		out = append(out, cutText(s))
	}
	return out
}

func cutText(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
