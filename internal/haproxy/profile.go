package haproxy

import (
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// profile is what about a pool must be text: a named defaults section that backends are made from. Pools
// that differ in a check's path, a timeout or a member share one.
type profile struct {
	mode, balance, header, cookie string
	// compression is how answers are compressed, nil for not at all.
	compression *weir.Compression
	// timeouts asks for the pool's own server and queue timeouts (http).
	timeouts bool
	// queue is the queue timeout where HAProxy can't be told per request, and so a map can't say it; 0 is the group's.
	queue time.Duration
	// unchecked pools have no server that is taken out when it refuses, so that few retries must do.
	unchecked bool
	// class is the server timeout of a tcp profile, which can't be set per request; 0 is the group's.
	class time.Duration
	// logic is the block of rules of the pool, "" for none.
	logic string
	// egress is for services of partners.
	egress bool
}

// tcpClasses are the server timeouts that tcp pools can have.
var tcpClasses = []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour}

func (r *renderer) profileOf(p *ir.Pool) profile {
	f := profile{mode: p.Mode, balance: p.Balance, header: p.BalanceHeader, cookie: p.Cookie, compression: p.Compression, unchecked: p.Check.Type == "none", logic: r.logic.pools[p.Name], egress: p.Endpoint != nil}
	if p.Mode == "http" {
		f.timeouts = p.ServerTimeout != 0 || p.QueueTimeout != 0 || p.NoQueue
		if !r.can.SetTimeouts {
			f.queue = queueTimeout(p)
		}
	} else if p.ServerTimeout != 0 {
		i := slices.IndexFunc(tcpClasses, func(c time.Duration) bool { return c >= p.ServerTimeout.D() })
		f.class = tcpClasses[i]
	}
	return f
}

// queueTimeout is how long a request may wait for a server of a pool, 0 when the pool does not say. Zero would mean
// the default to HAProxy; one millisecond answers 503 at once.
func queueTimeout(p *ir.Pool) time.Duration {
	if p.NoQueue {
		return time.Millisecond
	}
	return p.QueueTimeout.D()
}

// name is p-http-header-t.h-X-User.c-SRV and the like. The names of headers and cookies, which people choose,
// hold no dot, so that no choice can make two profiles one.
func (f profile) name() string {
	parts := []string{"p", f.mode, f.balance}
	if f.timeouts {
		parts = append(parts, "t")
	}
	if f.queue != 0 {
		parts = append(parts, "q"+ms(weir.Duration(f.queue)))
	}
	if f.class != 0 {
		parts = append(parts, weir.Duration(f.class).String())
	}
	if f.unchecked {
		parts = append(parts, "unchecked")
	}
	if f.egress {
		parts = append(parts, "egress")
	}
	name := strings.Join(parts, "-")
	if f.header != "" {
		name += ".h-" + f.header
	}
	if f.cookie != "" {
		name += ".c-" + f.cookie
	}
	if f.compression != nil {
		name += "." + compressionName(f.compression)
	}
	if f.logic != "" {
		name += ".l-" + f.logic
	}
	return name
}

// catalogue is what every configuration offers, asked for or not, so that a pool of a usual kind is never a
// reload.
func catalogue() []profile {
	var list []profile
	for _, balance := range weir.Balances {
		if balance == "header" {
			continue
		}
		for _, timeouts := range []bool{false, true} {
			for _, cookie := range []string{"", "SRV"} {
				list = append(list, profile{mode: "http", balance: balance, timeouts: timeouts, cookie: cookie})
			}
		}
		list = append(list, profile{mode: "http", balance: balance, unchecked: true})
		if balance == "uri" {
			continue
		}
		list = append(list, profile{mode: "tcp", balance: balance, unchecked: true})
		list = append(list, profile{mode: "tcp", balance: balance})
		for _, class := range tcpClasses {
			list = append(list, profile{mode: "tcp", balance: balance, class: class})
		}
	}
	return list
}

func (r *renderer) profiles() {
	for _, mode := range []string{"http", "tcp"} {
		r.serverDefaults(mode)
	}
	wanted := map[string]profile{}
	for _, f := range catalogue() {
		wanted[f.name()] = f
		for _, c := range r.compressing() {
			if f.mode == "http" {
				f.compression = c
				wanted[f.name()] = f
			}
		}
	}
	if r.egresses(0) { // so that the first partner is no reload
		f := profile{mode: "http", balance: "roundrobin", unchecked: true, egress: true}
		wanted[f.name()] = f
	}
	for i := range r.node.Pools {
		f := r.profileOf(&r.node.Pools[i])
		wanted[f.name()] = f
	}
	for _, name := range sortedKeys(wanted) {
		r.profile(wanted[name])
	}
}

// serverDefaults is what all profiles of a mode share.
func (r *renderer) serverDefaults(mode string) {
	s := r.section("defaults", "servers-"+mode)
	s.add("mode %s", mode)
	if r.env.Log.Target != "" { // who of the servers goes up or down, is drained or in maintenance
		s.add("%s", r.env.Log.Target)
	}
	r.serverTimeouts(s, r.node.Tuning.Timeouts.Server)
	s.add("option redispatch 1")
	// The first that fails takes a server out: all of a zone may be asked, and then those of another one.
	s.add("retries %d", againRetries)
	s.add("hash-type consistent")
	s.add("load-server-state-from-file global")
	if mode == "http" {
		s.add("retry-on conn-failure empty-response")
		if r.can.SmallBuffers {
			// A request is kept until its answer begins, in case it must be sent again: in a buffer of its own
			// size, instead of one of bufsize that is copied whole.
			s.add("option use-small-buffers l7-retries")
		}
	}
}

func (r *renderer) profile(f profile) {
	s := r.section("defaults", f.name()+" from servers-"+f.mode)
	s.Spare = true
	switch f.balance {
	case "header":
		s.add("balance hash req.hdr(%s)", f.header)
	default:
		s.add("balance %s", f.balance)
	}
	if f.egress {
		r.egressProfile(s)
		return
	}
	if f.unchecked {
		s.add("retries 3")
	}
	if f.cookie != "" {
		s.add("cookie %s insert indirect nocache httponly", f.cookie)
	}
	compress(s, f.compression)
	if f.mode == "http" {
		// Here and not above: defaults with rules can't be built upon.
		s.add("http-request disable-l7-retry unless METH_GET or { method HEAD OPTIONS }")
	}
	if f.timeouts {
		s.add("http-request set-timeout server be_name,map_str_int(%s,%d)", opt(mapServerTimeout), r.node.Tuning.Timeouts.Server.Ms())
		if r.can.SetTimeouts {
			s.add("http-request set-timeout queue be_name,map_str_int(%s,%d)", opt(mapQueueTimeout), r.node.Tuning.Timeouts.Queue.Ms())
		}
	}
	r.poolLogic(s, f.logic)
	if f.queue != 0 {
		s.add("timeout queue %s", ms(weir.Duration(f.queue)))
	}
	if f.class != 0 {
		s.add("timeout server %s", ms(weir.Duration(f.class)))
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
