package link

import (
	"net/netip"
	"sync"
	"time"
)

const (
	enrolBurst  = 20              // tries that an address has at once
	enrolRefill = 3 * time.Second // until it has one more
	maxAddrs    = 4096            // that are remembered
)

// limiter bounds the tries per address, a /64 for IPv6. A try is worth little anyway: tokens have 256 bits.
type limiter struct {
	mu   sync.Mutex
	full map[netip.Prefix]time.Time // when the address has all its tries again
}

func newLimiter() *limiter { return &limiter{full: map[netip.Prefix]time.Time{}} }

// allow takes a try, or tells how long to wait for one.
func (l *limiter) allow(remote string, now time.Time) (wait time.Duration, ok bool) {
	key := addressOf(remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.full[key]
	if full.Before(now) {
		full = now
	}
	next := full.Add(enrolRefill)
	if over := next.Sub(now) - enrolBurst*enrolRefill; over > 0 {
		return over, false
	}
	if _, known := l.full[key]; !known && len(l.full) >= maxAddrs {
		l.forget(now)
	}
	l.full[key] = next
	return 0, true
}

// refund gives back the try of one who proved to be welcome: a fleet may join from one address.
func (l *limiter) refund(remote string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := addressOf(remote)
	if full, ok := l.full[key]; ok {
		l.full[key] = full.Add(-enrolRefill)
	}
}

func addressOf(remote string) netip.Prefix {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := ap.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // bits fit the address
	return p
}

// forget looks at some addresses and drops those that have all their tries, or any one if there are none.
func (l *limiter) forget(now time.Time) {
	var last netip.Prefix
	looked := 0
	for key, full := range l.full {
		if !full.After(now) {
			delete(l.full, key)
		}
		last = key
		if looked++; looked == 64 {
			break
		}
	}
	if len(l.full) >= maxAddrs {
		delete(l.full, last)
	}
}
