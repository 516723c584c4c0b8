package dns01

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// prover asks the servers that count until all of them have a value.
type prover struct {
	view view
	zone string   // found when empty
	only []string // asked instead of the zone's name servers
}

const (
	firstPause = 200 * time.Millisecond
	longPause  = 3 * time.Second
)

// wait returns nil once each server was seen to answer with the record.
func (p prover) wait(ctx context.Context, r Record) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("wait for the challenge's record: %w", err)
	}
	at, servers, err := p.find(ctx, r.Owner())
	if err != nil {
		return fmt.Errorf("wait for TXT %s: %w", r.Owner(), err)
	}
	sightings := make(chan sighting)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := newSightings(servers)
	for s := range all {
		go p.watch(ctx, s, at.name, r.Value, sightings)
	}
	for !all.proven() {
		select {
		case s := <-sightings:
			all[s.target] = s.err
		case <-ctx.Done():
			return fmt.Errorf("wait for TXT %s in the zone %s: %w: %w", at.name, at.zone, all.lag(), ctx.Err())
		}
	}
	return nil
}

// find tells the place of the record and who must have it, and tries again while it can't be found.
func (p prover) find(ctx context.Context, owner string) (place, []nameServer, error) {
	var last error
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		at, servers, err := p.findOnce(ctx, owner)
		if err == nil {
			return at, servers, nil
		}
		// A try that the end of the time has cut off says less than the one before.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if !sleep(ctx, pause) {
			return at, nil, fmt.Errorf("%w: %w", last, ctx.Err())
		}
	}
}

func (p prover) findOnce(ctx context.Context, owner string) (place, []nameServer, error) {
	at, err := p.view.place(ctx, owner, p.zone)
	if err != nil {
		return at, nil, err
	}
	if len(p.only) > 0 {
		var servers []nameServer
		for _, addr := range p.only {
			servers = append(servers, nameServer{name: addr, addrs: []string{addr}})
		}
		return at, servers, nil
	}
	servers, err := p.view.servers(ctx, at.zone)
	return at, servers, err
}

// target is one address of one name server.
type target struct{ server, addr string }

// sighting is what an address answered: nil when it has the record.
type sighting struct {
	target target
	err    error
}

// sightings holds the last one of each address.
type sightings map[target]error

var errNotAsked = errors.New("has not answered yet")

func newSightings(servers []nameServer) sightings {
	all := sightings{}
	for _, s := range servers {
		for _, a := range s.addrs {
			all[target{s.name, a}] = errNotAsked
		}
		if len(s.addrs) == 0 {
			all[target{server: s.name}] = errors.New("has no address")
		}
	}
	return all
}

// proven says whether every server has the record at each address that this machine has a way to, and at one at least.
func (all sightings) proven() bool { return len(all.behind()) == 0 }

// behind gives the addresses that the proof still wants.
func (all sightings) behind() []target {
	seen := map[string]bool{}
	for t, err := range all {
		seen[t.server] = seen[t.server] || err == nil
	}
	var late []target
	for t, err := range all {
		if err != nil && !(noRoute(err) && seen[t.server]) {
			late = append(late, t)
		}
	}
	return late
}

// lag says who does not have the record, and at most five of them by name.
func (all sightings) lag() error {
	var late []string
	for _, t := range all.behind() {
		name := t.server
		if t.addr != "" && t.addr != t.server {
			name += " (" + t.addr + ")"
		}
		late = append(late, fmt.Sprintf("%s %v", name, all[t]))
	}
	slices.Sort(late)
	n, more := len(late), ""
	if n > 5 {
		late, more = late[:5], "; and others"
	}
	return fmt.Errorf("%d of %d addresses are behind: %s%s", n, len(all), strings.Join(late, "; "), more)
}

// watch asks one address until it has the record.
func (p prover) watch(ctx context.Context, t target, name, value string, to chan<- sighting) {
	if t.addr == "" {
		return
	}
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := p.see(ctx, t, name, value)
		if ctx.Err() == nil {
			select {
			case to <- sighting{t, err}:
			case <-ctx.Done():
			}
		}
		if err == nil || !sleep(ctx, pause) {
			return
		}
	}
}

// see says why an address does not have the record, or nil.
func (p prover) see(ctx context.Context, t target, name, value string) error {
	m, err := p.view.client.ask(ctx, t.addr, question(name, dns.TypeTXT, false))
	if err != nil {
		return fmt.Errorf("can't be asked: %w", err)
	}
	// Who was named to be asked may answer for others; a name server must be one.
	if len(p.only) == 0 && told(m) && !m.Authoritative {
		return errors.New("is no authoritative server of the zone, though the zone names it")
	}
	return judge(m, name, value)
}

// judge says why an answer does not have the record, or nil.
func judge(m *dns.Msg, name, value string) error {
	switch {
	case m.Rcode == dns.RcodeNameError:
		return errors.New("says that the name does not exist")
	case m.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("answers %s", rcode(m.Rcode))
	}
	values := readTXT(m, name)
	switch {
	case slices.Contains(values, value):
		return nil
	case len(values) > 0:
		return fmt.Errorf("has %d other values there", len(values))
	}
	return errors.New("has no value there")
}
