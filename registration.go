package weir

import (
	"strings"
	"time"
)

// Registration is what was said last of a server's health, and by whom. The control plane alone writes it, whoever
// writes the rest of the Server.
type Registration struct {
	// State is healthy, draining, withdrawn or stale.
	State string `json:"state"`
	// Since is when the state began.
	Since time.Time `json:"since"`
	// By is who said it: registration, for the server's own agent, or discovery/NAME.
	By string `json:"by,omitempty"`
	// Reason is why, in words for people: what failed, or who stopped it.
	Reason string `json:"reason,omitempty"`
}

// The states of a Registration.
const (
	RegistrationHealthy   = "healthy"   // may take traffic
	RegistrationDraining  = "draining"  // no new requests, in every pool
	RegistrationWithdrawn = "withdrawn" // no traffic, in every pool
	RegistrationStale     = "stale"     // it was healthy, and is silent for longer than its lease
)

func (r *Registration) normalize() {
	if r != nil {
		r.Since = r.Since.UTC()
	}
}

func (r *Registration) validate(p *Problems) {
	if r == nil {
		return
	}
	oneOf(p, "registration.state", r.State, RegistrationHealthy, RegistrationDraining, RegistrationWithdrawn, RegistrationStale)
	if r.Since.IsZero() {
		p.Add("registration.since", "is required")
	}
	prose(p, "registration.by", r.By, 100)
	prose(p, "registration.reason", r.Reason, 500)
}

// Registered is the state of a server's registration, "" for one that has none.
func (s *Server) Registered() string {
	if s.Registration == nil {
		return ""
	}
	return s.Registration.State
}

// Admissions are what a pool can ask for before a server's first request.
const (
	AdmissionCheck        = "check"        // HAProxy's health check
	AdmissionRegistration = "registration" // the server's registration
	AdmissionBoth         = "both"         // both of them
	AdmissionNone         = "none"         // nothing
)

// AsksForRegistration says whether servers that a pool selects need a registration to take traffic.
func (o *Pool) AsksForRegistration() bool {
	return o.Admission == AdmissionRegistration || o.Admission == AdmissionBoth
}

// Floor bounds what silence can take out of a pool: of the servers that are registered healthy or stale, at least so many
// must be healthy for the stale ones to be taken out; with fewer, all stale ones stay.
type Floor struct {
	// Percent is 0 to 100, rounded up to whole servers; 50 when left out.
	Percent *int `json:"percent,omitempty"`
	// Count is at least 1, which is the default, so that silence empties no pool.
	Count int `json:"count,omitempty"`
}

// Holds says whether so few servers are healthy that the stale ones stay.
func (f *Floor) Holds(healthy, stale int) bool {
	percent, count := 50, 1
	if f != nil {
		count = f.Count
		if f.Percent != nil {
			percent = *f.Percent
		}
	}
	return stale > 0 && healthy < max(count, ((healthy+stale)*percent+99)/100, 1)
}

func (o *Pool) normalizeAdmission() {
	if o.HealthCheck.Type == "none" {
		setDefault(&o.Admission, AdmissionNone)
	}
	setDefault(&o.Admission, AdmissionCheck)
	if o.Floor == nil && o.AsksForRegistration() {
		o.Floor = &Floor{}
	}
	if o.Floor != nil {
		setDefault(&o.Floor.Count, 1)
		if o.Floor.Percent == nil {
			o.Floor.Percent = new(50)
		}
	}
}

func (o *Pool) validateAdmission(p *Problems) {
	allowed := []string{AdmissionCheck, AdmissionRegistration, AdmissionBoth, AdmissionNone}
	oneOf(p, "admission", o.Admission, allowed...)
	if o.HealthCheck.Type == "none" && (o.Admission == AdmissionCheck || o.Admission == AdmissionBoth) {
		p.Add("admission", "%s needs a health check, and healthCheck.type is none; say registration or none, or give a health check", o.Admission)
	}
	if o.AsksForRegistration() && o.Selector == nil {
		p.Add("admission", "%s needs a selector: static members have no registration", o.Admission)
	}
	if f := o.Floor; f != nil {
		if !o.AsksForRegistration() {
			p.Add("floor", "belongs to admission: registration or both; with %s a server that falls silent stays in", strings.TrimSpace(o.Admission))
		}
		between(p, "floor.percent", *f.Percent, 0, 100)
		between(p, "floor.count", f.Count, 1, 1_000_000)
	}
}

// Standing is what a server's registration makes of it in one pool. Checks and Overrides come after it.
type Standing string

// What a server can be in a pool that selects it.
const (
	StandingIn        Standing = "in"        // it may take traffic
	StandingHeld      Standing = "held"      // it is stale, and the pool's floor keeps it in
	StandingDraining  Standing = "draining"  // it is in, and gets no new requests
	StandingWaiting   Standing = "waiting"   // it is out: it has no registration yet
	StandingStale     Standing = "stale"     // it is out: it fell silent
	StandingWithdrawn Standing = "withdrawn" // it is out: it, or a source, said so
)

// Out says whether the server is left out of the pool.
func (s Standing) Out() bool {
	return s == StandingWaiting || s == StandingStale || s == StandingWithdrawn
}

// Standing gives that of a selected Server in the pool; held is what the pool's floor says of stale ones.
func (o *Pool) Standing(s *Server, held bool) Standing {
	asks := o.AsksForRegistration()
	switch state := s.Registered(); {
	case state == RegistrationWithdrawn:
		return StandingWithdrawn
	case state == RegistrationDraining:
		return StandingDraining
	case !asks || state == RegistrationHealthy:
		return StandingIn
	case state == RegistrationStale && held:
		return StandingHeld
	case state == RegistrationStale:
		return StandingStale
	default:
		return StandingWaiting
	}
}
