package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/tally"
)

// HAProxy's own counters are shown by names, and no more of them than there is room for; what an agent says that makes
// no sense is left out.
func TestFiguresAreBounded(t *testing.T) {
	t.Parallel()
	row := tally.Row{Open: 2, Counters: haproxy.Counters{haproxy.Requests: 7}}
	reports := map[string]link.Reported{"liar": {Report: link.Report{Figures: json.RawMessage(`{"pools":{"web":[1]}}`)}}, "old": {}}
	for _, name := range []string{"lb1", "lb2"} {
		text, err := json.Marshal(tally.Figures{
			Total: row, Frontends: map[string]tally.Row{"http-80": row}, Pools: map[string]tally.Row{"web": row, "api": row},
			Servers: map[string]map[string]tally.Row{"web": {"s1": row}},
		})
		if err != nil {
			t.Fatal(err)
		}
		reports[name] = link.Reported{Report: link.Report{Figures: text}}
	}
	for rows, want := range map[int]string{
		100: "all 2, frontends 2, pools 4, servers 2", 5: "all 2, frontends 2, pools 4, servers 1",
		4: "all 2, frontends 2, pools 4, servers 0", 3: "all 2, frontends 2, pools 2, servers 1", 0: "all 2, frontends 2, pools 0, servers 0",
	} {
		out := make(chan prometheus.Metric, 10_000)
		collectFigures(reports, rows*seriesOfRow, out)
		close(out)
		seen := map[string]int{}
		for m := range out {
			text := m.Desc().String()
			for of, name := range map[string]string{"all": "", "frontend": "frontend_", "pool": "pool_", "server": "server_"} {
				if strings.Contains(text, `"weir_haproxy_`+name+`sessions"`) {
					seen[of]++
				}
			}
		}
		if got := fmt.Sprintf("all %d, frontends %d, pools %d, servers %d", seen["all"]/2, seen["frontend"]/2, seen["pool"]/2, seen["server"]/2); got != want {
			t.Errorf("room for %d rows: %s, want %s", rows, got, want)
		}
	}
}
