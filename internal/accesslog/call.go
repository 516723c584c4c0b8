package accesslog

import (
	"bytes"
	"cmp"
	"strings"
)

// CallKey says who called whom: what a rule let through of an application to a partner's service at a level. All of it are
// names of objects; what a path says besides never comes here.
type CallKey struct {
	Site    string `json:"site"`
	Client  string `json:"client"`  // an EgressClient
	Service string `json:"service"` // that was called, whatever a Split had it served by: partner.environment.service
	SLA     string `json:"sla"`
}

func (k CallKey) compare(o CallKey) int {
	return cmp.Or(strings.Compare(k.Site, o.Site), strings.Compare(k.Client, o.Client), strings.Compare(k.Service, o.Service), strings.Compare(k.SLA, o.SLA))
}

// Partner gives the three parts of a call's service.
func (k CallKey) Partner() (partner, environment, service string) { return partsOf(k.Service) }

func partsOf(name string) (partner, environment, service string) {
	partner, rest, _ := strings.Cut(name, ".")
	environment, service, _ = strings.Cut(rest, ".")
	return partner, environment, service
}

// Faults counts calls that failed, by whose fault it was.
type Faults struct {
	Client  uint64 `json:"client"`  // went away, was too slow, sent what is no request
	Weir    uint64 `json:"weir"`    // knows no address of the service, reached a limit of the load balancer, has a fault
	Partner uint64 `json:"partner"` // can't be reached or verified, broke off, was too slow, answered 5xx
}

// Call counts the calls under one key that were let through.
type Call struct {
	CallKey
	Classes   [classes]Class `json:"classes"` // by ClassName
	Faults    Faults         `json:"faults,omitzero"`
	Retries   uint64         `json:"retries,omitzero"`
	Reused    uint64         `json:"reused,omitzero"`    // that went over a connection of an earlier call
	Total     Histogram      `json:"total,omitzero"`     // the whole call
	Connect   Histogram      `json:"connect,omitzero"`   // the new connection, as the kernel measured its way there and back
	TLS       Histogram      `json:"tls,omitzero"`       // what the new connection took beyond that
	FirstByte Histogram      `json:"firstByte,omitzero"` // from the connection to the beginning of the answer
}

// Requests returns the number of calls of all classes.
func (c *Call) Requests() (n uint64) {
	for _, class := range c.Classes {
		n += class.Requests
	}
	return n
}

func (c Call) compare(o Call) int { return c.CallKey.compare(o.CallKey) }

func (c Call) plus(o Call) Call {
	mine, theirs := c.numbers(), o.numbers()
	for i := range mine {
		*mine[i] += *theirs[i]
	}
	return c
}

func (c Call) since(o Call) Call {
	mine, theirs := c.numbers(), o.numbers()
	for i := range mine {
		if *mine[i] < *theirs[i] {
			return c
		}
	}
	for i := range mine {
		*mine[i] -= *theirs[i]
	}
	return c
}

func (c Call) none() bool { return c == Call{CallKey: c.CallKey} }

// fault tells whose fault it is that a call failed. An answer of class 5xx in good order is the partner's own; one of class
// 4xx is no fault: it is what the partner has to say. One that HAProxy gives itself, with no server to ask, is ours: no
// address of the service is known.
func (l *Line) fault() (client, weir, partner bool) {
	nobody := string(l.Server) == nobodyServes
	switch l.cause() {
	case causeClient:
		return true, false, false
	case causeProxy:
		return false, true, false
	case causeServer:
		return false, nobody, !nobody
	}
	failed := classOf(l.Status) == classes-1
	return false, failed && nobody, failed && !nobody
}

// nobodyServes stands for the server in a line of which none was chosen.
const nobodyServes = "<NOSRV>"

// refusedMark begins the route, after the site, of a call that was refused before a service was sought; insteadMark stands
// before why one had no room, or met maintenance.
const (
	refusedMark = "!"
	insteadMark = "+"
)

// refusal gives why a call was refused, nothing when it was not; the reasons are words of the configuration.
func (l *Line) refusal() []byte {
	_, to, _ := bytes.Cut(l.Route, []byte{'/'})
	if why, ok := bytes.CutPrefix(to, []byte(refusedMark)); ok && (len(l.Caller) > 0 || string(why) != "maintenance") { // which other sites have, too
		return why
	}
	if _, why, ok := bytes.Cut(to, []byte(insteadMark)); ok && len(l.Caller) > 0 {
		return why
	}
	return nil
}

// asked gives the service and the level that a path names, as /client/environment/partner/environment/service/level/…, once
// a rule has said that there are such.
func (l *Line) asked() (service, level string) {
	parts := strings.SplitN(string(l.Path), "/", 8)
	if len(l.By) == 0 || len(parts) < 7 {
		return "", ""
	}
	return strings.Join(parts[3:6], "."), parts[6]
}

// countCall counts a line of a call to a partner, if it is one.
func (t *table) countCall(l *Line) {
	why := l.refusal()
	if len(l.Caller) == 0 && why == nil {
		return
	}
	service, level := l.asked()
	key := CallKey{Site: string(l.Site), Client: string(l.Caller), Service: service, SLA: level}
	if why != nil {
		t.refusedCall(RefusedCall{CallKey: key, Reason: string(why), Rule: string(l.By)}).Requests++
		return
	}
	t.call(key).count(l)
	t.notePresented(l, string(l.pool()))
}

// call finds the counts of a key, those of Other when there is no room for more.
func (t *table) call(key CallKey) *Call {
	for _, name := range []string{key.Site, key.Client, key.Service, key.SLA} {
		if len(name) > maxName {
			key = otherCall
		}
	}
	if t.calls[key] == nil && len(t.calls) >= t.callRoom {
		key = otherCall
	}
	c := t.calls[key]
	if c == nil {
		c = &Call{CallKey: key}
		t.calls[key] = c
	}
	return c
}

// otherCall is the key of calls for which there is no room.
var otherCall = CallKey{Site: Other, Client: Other, Service: Other, SLA: Other}

func (c *Call) count(l *Line) {
	class := &c.Classes[classOf(l.Status)]
	class.Requests++
	class.BytesIn += uint64(l.BytesIn)
	class.BytesOut += uint64(l.BytesOut)
	switch client, weir, partner := l.fault(); {
	case client:
		c.Faults.Client++
	case weir:
		c.Faults.Weir++
	case partner:
		c.Faults.Partner++
	}
	c.Retries += uint64(l.Retries)
	c.Total.observe(l.Timers.Total)
	c.FirstByte.observe(l.Timers.Response)
	if l.Reused {
		c.Reused++
		return
	}
	if l.Timers.Connect >= 0 && l.WayUS >= 0 {
		way := min(l.WayUS/1000, l.Timers.Connect)
		c.Connect.observe(way)
		c.TLS.observe(l.Timers.Connect - way)
	}
}
