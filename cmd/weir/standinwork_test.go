package main

import (
	"time"

	"weir/internal/api"
)

// Work implements api.WorkSource: of change 4 the load balancers of edge did one thing and another, nothing is known of
// earlier ones, and later ones were nothing to them.
func (s *standIn) Work(revision int64) *api.ChangeWork {
	if revision < 4 {
		return nil
	}
	work := &api.ChangeWork{LoadBalancers: []api.LoadBalancerWork{}}
	if revision > 4 {
		return work
	}
	for i, name := range []string{"lb-az1-1", "lb-az1-2", "lb-az2-1", "lb-az2-2", "lb-az3-1"} {
		lb := api.LoadBalancerWork{Name: name, Group: "edge", Zone: name[3:6], Done: true, At: theNow.Add(time.Duration(80+15*i) * time.Millisecond)}
		switch i {
		case 0, 1:
			lb.Commands, lb.Waiting = 3, 1
		case 2:
			lb.Reloaded, lb.Reload, lb.With = true, []api.ReloadReason{{Object: "Pool/web-az1", Text: "HAProxy 3.2 takes such a check only when it starts"}}, []int64{3}
			lb.At = theNow.Add(1300 * time.Millisecond)
		case 3:
			lb.At = theNow.Add(75 * time.Second)
		case 4:
			lb.Done, lb.At = false, time.Time{}
		}
		work.LoadBalancers = append(work.LoadBalancers, lb)
	}
	return work
}

// Concerns implements api.StatusSource: all load balancers have to do with every change.
func (s *standIn) Concerns(int64, string) bool { return true }
