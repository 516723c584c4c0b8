package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/tickets"
)

const (
	// awayPatience is how long a load balancer may be away and still counts for its group's ticket keys, unless these
	// change more often: else every restart of the control plane would begin a new secret.
	awayPatience = 10 * time.Minute
	// failedPause is how long a load balancer is asked for nothing after it could not do what it was asked for.
	failedPause = 30 * time.Second
	// ticketsPace is kept between two looks at who is there, and ticketsEvery is how often that is looked at anyway.
	ticketsPace  = 100 * time.Millisecond
	ticketsEvery = time.Second
	// answerTries is how often what an agent has made is judged anew because somebody else wrote meanwhile.
	answerTries = 20
)

// ticketBook is what a server knows of all groups' TLS ticket keys. Every server follows the states, works out what its
// agents are told, and takes what they have made; one drives.
type ticketBook struct {
	*fleet
	started time.Time
	random  io.Reader

	mu     sync.Mutex
	groups map[string]*ticketGroup
	loaded bool          // all states there are have been read
	news   chan struct{} // closed when a group, or somebody in one, is not as before
	dirty  chan struct{} // holds a value when a state was read
	certs  map[string]*x509.Certificate
}

// ticketGroup is replaced, never changed.
type ticketGroup struct {
	state      tickets.State
	generation int64 // of the value in the store; 0 when there is none
	members    []tickets.Member
	tasks      []tickets.Task
	settings   tickets.Settings
	told       int64 // the generation that agents were told of
}

// newTicketBook makes a book; its fleet is still to come.
func newTicketBook(clock func() time.Time) *ticketBook {
	return &ticketBook{
		started: clock(), random: rand.Reader, groups: map[string]*ticketGroup{},
		news: make(chan struct{}), dirty: make(chan struct{}, 1), certs: map[string]*x509.Certificate{},
	}
}

// follow reads the states from the store until ctx ends.
func (b *ticketBook) follow(ctx context.Context) {
	b.store.FollowPlatforms(ctx, store.PrefixTickets, func(changed []store.PlatformValue) {
		for _, v := range changed {
			b.read(v)
		}
		b.mu.Lock()
		b.loaded = true
		b.mu.Unlock()
		select {
		case b.dirty <- struct{}{}:
		default:
		}
	})
}

func (b *ticketBook) read(v store.PlatformValue) {
	name := strings.TrimPrefix(v.Name, store.PrefixTickets)
	state := tickets.State{Group: name}
	if v.Generation > 0 {
		got, err := tickets.ParseState(v.Value.Bytes())
		if err == nil && got.Group != name {
			err = fmt.Errorf("the ticket keys' state of group %s is that of another", name)
		}
		if err != nil {
			b.log.Error("read ticket keys; the group begins anew", "group", name, "error", err)
		} else {
			state = got
		}
	}
	b.adopt(name, state, v.Generation)
}

// adopt takes over the state of a group.
func (b *ticketBook) adopt(name string, state tickets.State, generation int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := ticketGroup{}
	if old := b.groups[name]; old != nil {
		next = *old
	}
	next.state, next.generation = state, generation
	b.groups[name] = &next
}

// watch looks who is there, and tells agents what is news to them, until ctx ends.
func (b *ticketBook) watch(ctx context.Context) {
	for ctx.Err() == nil {
		reported := b.hub.Reports().Changed()
		b.fleet.mu.RLock()
		compiled := b.compiled
		b.fleet.mu.RUnlock()
		b.refresh()
		pause := time.NewTimer(ticketsPace)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		rest := time.NewTimer(ticketsEvery)
		select {
		case <-ctx.Done():
		case <-reported:
		case <-compiled:
		case <-b.dirty:
		case <-rest.C:
		}
		pause.Stop()
		rest.Stop()
	}
}

// refresh works out for each group who is there and who is asked for what.
func (b *ticketBook) refresh() {
	now := b.clock()
	b.fleet.mu.RLock()
	selves := make(map[string][]ir.Self, len(b.fleet.groups))
	for name, g := range b.fleet.groups {
		selves[name] = g.selves
	}
	b.fleet.mu.RUnlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.loaded {
		return
	}
	news, view := false, b.store.View()
	for name, list := range selves {
		old := b.groups[name]
		known := old != nil
		if !known {
			old = &ticketGroup{state: tickets.State{Group: name}}
		}
		settings := settingsOf(view, name)
		members := b.members(list, settings, old.state.Rotated, now)
		told := known && old.told == old.generation
		if told && settings == old.settings && slices.Equal(members, old.members) {
			continue // so that the tasks are the same, too
		}
		next := *old
		next.settings, next.members, next.tasks, next.told = settings, members, old.state.Tasks(members), old.generation
		b.groups[name], news = &next, true
		if !told || !reflect.DeepEqual(next.tasks, old.tasks) {
			b.hub.Rebrief(namesOf(list)...)
		}
	}
	if news {
		close(b.news)
		b.news = make(chan struct{})
	}
}

func namesOf(list []ir.Self) []string {
	names := make([]string, len(list))
	for i, self := range list {
		names[i] = self.Name
	}
	return names
}

// settingsOf gives how often a group's keys change. A rotation waits for those that do not follow for as long again.
func settingsOf(view *weir.Set, group string) tickets.Settings {
	every := weir.TicketKeysEvery
	if g := weir.Find[weir.LoadBalancerGroup](view, "LoadBalancerGroup", group); g != nil {
		every = g.TicketKeysEvery()
	}
	return tickets.Settings{Every: every, Hold: every}
}

// members are a group's load balancers as far as ticket keys go, which changed last at rotated. b.mu is held.
func (b *ticketBook) members(list []ir.Self, set tickets.Settings, rotated, now time.Time) []tickets.Member {
	out := make([]tickets.Member, len(list))
	for i, self := range list {
		var last *link.Reported
		if rep, heard := b.hub.Reports().Get(self.Name); heard {
			last = &rep
		}
		out[i] = b.member(self.Name, last, set, rotated, now)
	}
	return out
}

// member judges a load balancer by its last report, nil for none. b.mu is held.
func (b *ticketBook) member(name string, last *link.Reported, set tickets.Settings, rotated, now time.Time) tickets.Member {
	patience := min(awayPatience, max(heardWithin, set.Every))
	m := tickets.Member{Name: name}
	if last == nil {
		m.Present = now.Sub(b.started) < patience
		return m
	}
	m.Certificate = b.certificate(name, last.Shown)
	part := last.Tickets
	if part == nil || part.Off != "" {
		return m // an agent of before, or one that can't: it keeps keys of its own, and nobody waits for it
	}
	failed := !part.Failed.IsZero() && last.Now.Sub(part.Failed) < failedPause
	m.Present = now.Sub(last.At) < patience
	m.Able = now.Sub(last.At) < heardWithin && !failed
	m.Generation = part.Generation
	m.Silent = last.At.Before(rotated)
	return m
}

// certificate reads what an agent has shown, once. b.mu is held.
func (b *ticketBook) certificate(name string, shown []byte) *x509.Certificate {
	if have := b.certs[name]; have != nil && bytes.Equal(have.Raw, shown) {
		return have
	}
	cert, err := x509.ParseCertificate(shown)
	if err != nil {
		return nil // of a report that another server of an older version has passed on
	}
	b.certs[name] = cert
	return cert
}

// find gives what is known of the group that a load balancer is in.
func (b *ticketBook) find(name string) (group string, g *ticketGroup) {
	wanted, ok := b.hub.Wanted(name)
	if !ok {
		return "", nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.loaded {
		return wanted.Group, nil
	}
	return wanted.Group, b.groups[wanted.Group]
}

// Brief implements link.Tickets.
func (b *ticketBook) Brief(name string, cert *x509.Certificate) secrets.Secret {
	group, g := b.find(name)
	if g == nil {
		return secrets.Secret{}
	}
	text, err := g.state.Brief(tickets.Member{Name: name, Certificate: cert}, g.tasks).Encode()
	if err != nil {
		b.log.Error("write a brief on ticket keys", "group", group, "lb", name, "error", err)
		return secrets.Secret{}
	}
	return secrets.NewSecret(text)
}

// Answer implements link.Tickets: what an agent has made is judged with the newest state, and counts if that is still
// the newest when it is written.
func (b *ticketBook) Answer(ctx context.Context, name string, text []byte) error {
	answer, err := tickets.ParseAnswer(text)
	if err != nil {
		return &weir.Error{Kind: weir.Invalid, Message: err.Error()}
	}
	group, g := b.find(name)
	if g == nil {
		return weir.Errorf(weir.Unavailable, "nothing is known yet of the ticket keys of load balancer %s", name)
	}
	var refused error
	err = b.edit(ctx, group, func(s tickets.State) tickets.State {
		refused = nil
		for _, o := range answer.Offers {
			next, err := s.Accept(o, name, g.members)
			refused = errors.Join(refused, err)
			s = next
		}
		for _, epoch := range answer.Unopened {
			s = s.Unopened(name, epoch)
		}
		return s
	})
	switch {
	case err != nil:
		return err
	case errors.Is(refused, tickets.ErrTooLate):
		return &weir.Error{Kind: weir.Conflict, Message: refused.Error()}
	case refused != nil:
		return &weir.Error{Kind: weir.Forbidden, Message: refused.Error()}
	}
	b.log.Info("ticket keys: a load balancer has handed on the secret", "group", group, "lb", name, "offers", len(answer.Offers), "unopened", answer.Unopened)
	return nil
}

// edit writes what f makes of a group's newest state, whoever writes at the same time.
func (b *ticketBook) edit(ctx context.Context, group string, f func(tickets.State) tickets.State) error {
	for range answerTries {
		state := tickets.State{Group: group}
		value, generation, err := b.store.Platform(ctx, store.PrefixTickets+group)
		switch {
		case weir.KindOf(err) == weir.NotFound:
		case err != nil:
			return err
		default:
			if state, err = tickets.ParseState(value.Bytes()); err != nil {
				return err
			}
		}
		next := f(state)
		if err := b.write(ctx, group, state, next, generation); weir.KindOf(err) != weir.Stale {
			return err
		}
	}
	return weir.Errorf(weir.Unavailable, "the ticket keys of group %s are being changed all the time", group)
}

// write puts a state in place of the one that it came of, if they differ.
func (b *ticketBook) write(ctx context.Context, group string, was, next tickets.State, generation int64) error {
	before, err := was.Encode()
	if err != nil {
		return err
	}
	text, err := next.Encode()
	if err != nil || bytes.Equal(before, text) {
		return err
	}
	return b.store.SetPlatform(ctx, store.PrefixTickets+group, text, generation)
}
