package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"weir"
	"weir/internal/secrets"
)

// The bounds of what one address can have written into the audit file: a few at once, then one now and then.
const (
	refusalBurst = 20
	refusalEvery = 10 * time.Second
	maxRemotes   = 4096
)

// refusals limits how many refusals go to the audit file, by remote address, so that nobody can rotate it away.
// What is left out is counted and told with the next that is not.
type refusals struct {
	mu       sync.Mutex
	byRemote map[netip.Prefix]*remote
}

type remote struct {
	left    float64
	at      time.Time
	omitted int
}

// take says whether a refusal of an address is to be recorded now, and how many before it were not.
func (l *refusals) take(from netip.Prefix, now time.Time) (omitted int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byRemote == nil {
		l.byRemote = map[netip.Prefix]*remote{}
	}
	if l.byRemote[from] == nil && len(l.byRemote) >= maxRemotes {
		if l.evict(now); len(l.byRemote) >= maxRemotes {
			from = netip.Prefix{} // so many at once share one allowance
		}
	}
	r := l.byRemote[from]
	if r == nil {
		r = &remote{left: refusalBurst, at: now}
		l.byRemote[from] = r
	}
	r.left = min(refusalBurst, r.left+now.Sub(r.at).Seconds()/refusalEvery.Seconds())
	r.at = now
	if r.left < 1 {
		r.omitted++
		return 0, false
	}
	r.left--
	omitted, r.omitted = r.omitted, 0
	return omitted, true
}

// may says whether an address has not used up what it has at once.
func (l *refusals) may(from netip.Prefix, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.byRemote[from]
	return r == nil || r.left+now.Sub(r.at).Seconds()/refusalEvery.Seconds() >= 1
}

// evict forgets those that have their whole burst again.
func (l *refusals) evict(now time.Time) {
	for p, r := range l.byRemote {
		if now.Sub(r.at) > refusalBurst*refusalEvery {
			delete(l.byRemote, p)
		}
	}
}

// remotePrefix is what counts as one sender: an IPv4 address, or an IPv6 network of the size that people get.
func remotePrefix(r *http.Request) netip.Prefix {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	ip := addr.Addr().Unmap()
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func remoteAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// auditRefusal records that somebody was turned away.
func (c *call) auditRefusal(err error) {
	kind := weir.KindOf(err)
	if c.h.opts.Audit == nil || kind != weir.Unauthenticated && kind != weir.Forbidden {
		return
	}
	omitted, ok := c.h.refused.take(remotePrefix(c.r), c.h.opts.Clock())
	if !ok {
		return
	}
	_, e := publicKind(err)
	reason := e.Message
	if len(e.Problems) > 0 {
		reason += ": " + e.Problems[0].String()
	}
	if omitted > 0 {
		reason = fmt.Sprintf("%s (%d refusals of this address before are not recorded)", reason, omitted)
	}
	c.audit(secrets.AuditEntry{What: c.what(), Outcome: "refused", Reason: reason})
}

// audit records an entry of this call; what can't be recorded is told in the log.
func (c *call) audit(e secrets.AuditEntry) {
	if c.h.opts.Audit == nil {
		return
	}
	e.Author, e.Remote = c.who.Subject, remoteAddress(c.r)
	if err := c.h.opts.Audit.Append(e); err != nil {
		c.h.opts.Logger.Error("api: the audit file can't be written", "error", err)
	}
}

// what names a call without anything that the client chose, except the object it asked for.
func (c *call) what() string {
	if name := c.r.PathValue("name"); name != "" && weir.CheckName(name) == nil {
		return c.route.method + " " + c.route.pattern + " " + name
	}
	return c.route.method + " " + c.route.pattern
}
