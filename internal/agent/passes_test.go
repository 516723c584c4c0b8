package agent

import (
	"strings"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// TestPassesAreTold: for each state the agent tells what it did to come to it and when that was read back: a start, commands,
// or a reload with its reasons.
func TestPassesAreTold(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h)
		a.site("one", 40)
		a.wish()
		a.node.Pools[0].Servers[0].Weight = 7
		a.wish()
		a.node.Tuning.Ports = append(a.node.Tuning.Ports, weir.BoundPort{Port: 8099, Mode: weir.PortHTTP})
		a.wish()
		a.wish() // a newer state in which nothing is another
		rep := a.plane.report()
		if len(rep.Passes) != 4 {
			t.Fatalf("%d passes: %+v", len(rep.Passes), rep.Passes)
		}
		begin, weight, port, same := rep.Passes[0], rep.Passes[1], rep.Passes[2], rep.Passes[3]
		if !begin.Started || len(begin.Reload) > 0 || begin.At.IsZero() {
			t.Errorf("the first: %+v", begin)
		}
		if weight.Started || weight.Commands != 1 || len(weight.Reload) > 0 || weight.At.Before(begin.At) {
			t.Errorf("a weight: %+v", weight)
		}
		if port.Commands != 0 || len(port.Reload) != 1 || !strings.HasPrefix(port.Reload[0].Text, "port 8099 is new to the group") {
			t.Errorf("a port: %+v", port)
		}
		if same.Commands != 0 || same.Started || len(same.Reload) > 0 {
			t.Errorf("nothing: %+v", same)
		}
		if same.Number != begin.Number+3 || same.Revision != rep.Revision || same.Hash != rep.Hash {
			t.Errorf("the last is %d of revision %d, reported is %d", same.Number, same.Revision, rep.Revision)
		}
	})
}
