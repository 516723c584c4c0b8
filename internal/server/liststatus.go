package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"weir"
	"weir/internal/sources"
	"weir/internal/store"
)

// leadLists is the work of fetching AccessLists, which one server does.
const leadLists = "lists"

// fetchedLists is what is known of the sources of AccessLists, whichever server fetches them.
type fetchedLists struct {
	mu    sync.RWMutex
	lists map[string]*weir.ListStatus
}

func (l *fetchedLists) of(name string) *weir.ListStatus {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lists[name]
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
			name := strings.TrimPrefix(v.Name, sources.ListPrefix)
			status := new(weir.ListStatus)
			if v.Generation == 0 || json.Unmarshal(v.Value.Bytes(), status) != nil {
				delete(known.lists, name)
				continue
			}
			if known.lists == nil {
				known.lists = map[string]*weir.ListStatus{}
			}
			known.lists[name] = status
		}
	})
}

// fetchedList says of an AccessList with a source whether that answers, and whether all is believed that it says.
func (v *view) fetchedList() []weir.Condition {
	spec, ok := v.object.Spec.(*weir.AccessList)
	if !ok || spec.Source == nil {
		return nil
	}
	c := weir.Condition{Type: weir.Watched, Status: "Unknown", Reason: "NotYet", Message: "it was not fetched yet"}
	s := v.fleet.fetched.of(v.ref.Name)
	if s == nil || s.URL != spec.Source.URL {
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
			Message: fmt.Sprintf("the place has only %d entries, and the list had %d: those stay until %s unless there are more again; to have fewer at once, take source out of the list and upload them", s.Fewer, s.Entries, clock(s.FewerUntil)),
		})
	}
	return list
}
