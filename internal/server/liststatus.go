package server

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"weir"
	"weir/internal/sources"
	"weir/internal/store"
)

// leadLists is the work of fetching AccessLists and Maps, which one server does.
const leadLists = "lists"

// fetchedLists is what is known of the sources of AccessLists and Maps, whichever server fetches them.
type fetchedLists struct {
	mu    sync.RWMutex
	lists map[weir.Ref]*weir.ListStatus
}

func (l *fetchedLists) of(ref weir.Ref) *weir.ListStatus {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lists[ref]
}

func (s *server) lists() *sources.Lists {
	return sources.NewLists(sources.Options{Store: s.store, Reach: s.reach, Clock: s.opts.Clock, Log: s.opts.Log, Server: hostname(s.store.ID())})
}

// followLists keeps up with what is written down of lists' sources, until ctx ends.
func (s *server) followLists(ctx context.Context) {
	s.store.FollowPlatforms(ctx, sources.ListPrefix, func(changed []store.PlatformValue) {
		known := &s.fleet.fetched
		known.mu.Lock()
		defer known.mu.Unlock()
		for _, v := range changed {
			ref := sources.ListOf(v.Name)
			status := new(weir.ListStatus)
			if v.Generation == 0 || json.Unmarshal(v.Value.Bytes(), status) != nil {
				delete(known.lists, ref)
				continue
			}
			if known.lists == nil {
				known.lists = map[weir.Ref]*weir.ListStatus{}
			}
			known.lists[ref] = status
		}
	})
}

// fetchedList says of an AccessList or a Map with a source whether that answers, and whether all is believed that it says.
func (v *view) fetchedList() []weir.Condition {
	spec, ok := v.object.Spec.(weir.Sourced)
	if !ok || spec.From() == nil {
		return nil
	}
	c := weir.Condition{Type: weir.Watched, Status: "Unknown", Reason: "NotYet", Message: "it was not fetched yet"}
	s := v.fleet.fetched.of(v.ref)
	if s == nil || s.URL != spec.From().URL {
		return []weir.Condition{c}
	}
	stands := "nothing was fetched of it yet; the entries that the list has stay"
	if !s.FetchedAt.IsZero() {
		stands = fmt.Sprintf("%d entries, fetched %s", s.Entries, clock(s.FetchedAt))
		c.Since = s.FetchedAt
	}
	switch {
	case s.Error != "":
		c.Status, c.Reason, c.Since = "False", "Failing", s.FailedAt
		c.Message = s.Error + "; what stands: " + stands
	case !s.FetchedAt.IsZero():
		c.Status, c.Reason, c.Message = "True", "Answers", stands
	}
	list := []weir.Condition{c}
	if !s.FewerSince.IsZero() {
		list = append(list, weir.Condition{
			Type: weir.Believed, Status: "False", Reason: "Doubted", Since: s.FewerSince, Of: s.Entries, Ready: s.Fewer,
			Message: fmt.Sprintf("the place has only %d entries, and the list had %d: those stay until %s unless there are more again; to have fewer at once, take its source out and upload them", s.Fewer, s.Entries, clock(s.FewerUntil)),
		})
	}
	return list
}
