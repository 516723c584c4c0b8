package agent

import (
	"context"
	"maps"
	"reflect"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/link"
)

const (
	// wholeBelow is up to how many servers all of them are looked at closely each time.
	wholeBelow = 1000
	// manyPools is how many pools that have changed are looked at one by one; more are cheaper all at once.
	manyPools = 100
	// inTurn is in how many looks every pool is looked at closely, changed or not: connections and the words of the
	// last check don't show in a pulse.
	inTurn = 60
)

// sight is how the health watch sees the servers. To look closely at ten thousand takes HAProxy fifty milliseconds and
// the agent more: of many servers only those are asked about whose pool's pulse has changed, those that somebody may
// wait for to become idle, and some of the others in turn.
type sight struct {
	// whole is wholeBelow, or less in tests.
	whole int
	// moved is told which backends' servers were set otherwise than before; it may be nil.
	moved    *moved
	client   *hapctl.Client
	pulses   []haproxy.Pulse
	turn     int
	reported time.Time
	// servers is what was seen, by pool and name. It is replaced, never changed; what is the same stays the same
	// one in memory.
	servers map[string]map[string]link.ServerHealth
	// count is how many they are, leaving the pools with a server that is on its way out and has connections.
	count   int
	leaving []string
}

// look brings servers up to date, and says whether any server's state has changed.
func (s *sight) look(ctx context.Context, client *hapctl.Client, now time.Time) (bool, error) {
	if client != s.client {
		s.client, s.pulses = client, nil
	}
	pulses, err := s.pulse(ctx)
	if err != nil {
		return false, err
	}
	pools := s.due(pulses)
	if s.count <= s.whole || s.pulses == nil || len(pools) > manyPools+len(pulses)/inTurn {
		changed, err := s.all(ctx, now)
		if err == nil {
			s.pulses = pulses // of before what was seen: what has changed between is seen again
		}
		return changed, err
	}
	var backends []string
	for _, p := range pulses {
		if pools[haproxy.BaseName(p.Backend)] {
			backends = append(backends, p.Backend)
		}
	}
	rows, err := client.StatOf(ctx, backends...)
	if err != nil {
		return false, err
	}
	seen := healthOf(rows, now)
	next := maps.Clone(s.servers)
	for pool := range pools {
		if servers, ok := seen[pool]; ok {
			next[pool] = servers
		} else {
			delete(next, pool)
		}
	}
	s.pulses = pulses
	return s.take(next), nil
}

// pulse reads the pulses, and tells which backends moved.
func (s *sight) pulse(ctx context.Context) ([]haproxy.Pulse, error) {
	if s.moved == nil {
		return s.client.Pulses(ctx, s.pulses)
	}
	again := s.moved.expected() // before: what is expected from now on is to be seen after
	pulses, err := s.client.Pulses(ctx, s.pulses)
	if err != nil {
		s.moved.expect(again)
		return nil, err
	}
	if s.pulses != nil {
		again = append(again, haproxy.Moved(s.pulses, pulses)...)
	}
	s.moved.add(again)
	return pulses, nil
}

// all looks at every server.
func (s *sight) all(ctx context.Context, now time.Time) (bool, error) {
	rows, err := s.client.Stat(ctx)
	if err != nil {
		return false, err
	}
	return s.take(healthOf(rows, now)), nil
}

// sum counts what was seen.
func (s *sight) sum() {
	s.count, s.leaving = 0, nil
	for pool, servers := range s.servers {
		s.count += len(servers)
		for _, h := range servers {
			if h.Connections > 0 && (h.State == link.Drain || h.State == link.Maint) {
				s.leaving = append(s.leaving, pool)
				break
			}
		}
	}
}

// due gives the pools to look at closely.
func (s *sight) due(pulses []haproxy.Pulse) map[string]bool {
	pools := map[string]bool{}
	old := make(map[string]haproxy.Pulse, len(s.pulses))
	for _, p := range s.pulses {
		old[p.Backend] = p
	}
	s.turn = (s.turn + 1) % inTurn
	for i, p := range pulses {
		if old[p.Backend] != p || i%inTurn == s.turn {
			pools[haproxy.BaseName(p.Backend)] = true
		}
		delete(old, p.Backend)
	}
	for name := range old { // gone
		pools[haproxy.BaseName(name)] = true
	}
	for _, pool := range s.leaving {
		pools[pool] = true
	}
	return pools
}

// take keeps in place what has not changed, and says whether a state has.
func (s *sight) take(next map[string]map[string]link.ServerHealth) bool {
	changed, same := false, len(next) == len(s.servers)
	for pool, servers := range next {
		old, ok := s.servers[pool]
		if ok && sameMap(old, servers) {
			continue
		}
		changed = changed || len(old) != len(servers)
		for name, h := range servers {
			was, known := old[name]
			changed = changed || !known || was.State != h.State
			// HAProxy counts whole seconds up to now, so that the difference is a second more or less each time.
			if known && was.State == h.State && was.Since.Sub(h.Since).Abs() <= 2*time.Second {
				h.Since = was.Since
				servers[name] = h
			}
		}
		if ok && maps.Equal(old, servers) {
			next[pool] = old
			continue
		}
		same = false
	}
	changed = changed || len(next) != len(s.servers)
	if !same || s.servers == nil {
		s.servers = next
		s.sum()
	}
	return changed
}

// sameMap says whether two maps are one in memory.
func sameMap[K comparable, V any](a, b map[K]V) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}
