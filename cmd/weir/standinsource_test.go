package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weir"
)

// source NAME JSON says what is so of a discovery source; times in it are those of theNow.
func source(ts *testscript.TestScript, _ bool, args []string) {
	s := &weir.SourceStatus{Watcher: "lb1", WatchedSince: theNow.Add(-26 * time.Hour), AnsweredAt: theNow.Add(-20 * time.Second)}
	ts.Check(json.Unmarshal([]byte(args[1]), s))
	if s.Error != "" {
		s.FailedAt = theNow.Add(-5 * time.Minute)
	}
	if s.Change != "" {
		s.ChangedAt = theNow.Add(-90 * time.Second)
	}
	if s.Doubt != nil {
		s.Doubt.Since, s.Doubt.Until = theNow.Add(-5*time.Minute), theNow.Add(55*time.Minute)
	}
	for i := range s.DampedServers {
		s.DampedServers[i].Until = theNow.Add(2 * time.Minute)
	}
	planeOf(ts).status.set(func(in *standIn) {
		if in.seen == nil {
			in.seen = map[string]*weir.SourceStatus{}
		}
		in.seen["DiscoverySource/"+args[0]] = s
	})
}

// ConfirmSource lets go what is doubted.
func (s *standIn) ConfirmSource(_ context.Context, name string, number int64, _, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.seen["DiscoverySource/"+name]
	if known == nil || known.Doubt == nil || known.Doubt.Number != number {
		return weir.Errorf(weir.Conflict, "more is gone from DiscoverySource/%s than was looked at: look again", name)
	}
	after := *known
	after.Doubt = nil
	s.seen["DiscoverySource/"+name] = &after
	return nil
}
