package main

import (
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weir/internal/api"
)

// checks SERVER N lets a server's health have changed so often.
func checks(ts *testscript.TestScript, neg bool, args []string) {
	var n int
	if len(args) != 2 {
		ts.Fatalf("usage: checks SERVER N")
	}
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	planeOf(ts).status.set(func(s *standIn) { s.checked = map[string]int{args[0]: n} })
}

// ServerChecks implements api.CheckSource.
func (s *standIn) ServerChecks(server string) (events []api.CheckEvent, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.checked[server] {
		e := api.CheckEvent{Time: theNow.Add(-time.Duration(i+1) * time.Minute), LoadBalancer: "lb-az1-1", Pool: "web-az1", From: "down", To: "up", Said: "passes (L7OK)"}
		if i%2 == 1 {
			e.From, e.To, e.Said = "up", "down", "answers 503: \x1b[2JSorry (L7STS)"
		}
		events = append(events, e)
	}
	return events, theNow.Add(-time.Hour)
}
