package haproxy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestFirstChecksDoNotWaitForAnHour: servers that are checked once an hour are let in soon after HAProxy has started, all
// of them.
func TestFirstChecksDoNotWaitForAnHour(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, func(n *ir.Node) {
			for i := range n.Pools {
				n.Pools[i].Check.Interval = weir.Duration(time.Hour)
			}
		})
		weirtest.Eventually(t, weirtest.Patience, func() error {
			checked := 0
			for line := range strings.Lines(p.command(t, "show stat")) {
				if f := strings.Split(line, ","); len(f) > 36 && !strings.HasPrefix(f[1], "_") && f[36] != "" && f[36] != "check_status" {
					if f[36] == "INI" {
						return errors.New(f[0] + "/" + f[1] + " was not checked yet")
					}
					checked++
				}
			}
			if checked < 4 {
				return errors.New("there are not all servers")
			}
			return nil
		})
	})
}
