package main

import (
	"fmt"
	"net/url"

	"weir/internal/api"
)

// shownChecks is how many events of a server's health check log are shown.
const shownChecks = 10

// checks shows how a server's health changed last. Who may not see it sees the rest.
func (d *description) checks() {
	log := new(api.ServerChecks)
	if d.client.get(d.ctx, "servers/"+url.PathEscape(d.object.Metadata.Name)+"/checks", nil, log) != nil || len(log.Events) == 0 {
		return
	}
	d.section("Last changes of health")
	t := &table{columns: []column{{title: "WHEN"}, {title: "LOAD BALANCER"}, {title: "POOL"}, {title: "FROM"}, {title: "TO"}, {title: "THE CHECK SAID", folds: true}}}
	for _, e := range log.Events[:min(len(log.Events), shownChecks)] {
		t.add([]cell{{text: ago(e.Time, d.client.now())}, {text: e.LoadBalancer}, {text: e.Pool}, {text: e.From}, {e.To, healthTone(e.To)}, {text: e.Said}})
	}
	d.indented(t)
	if more := len(log.Events) - shownChecks; more > 0 {
		d.line("  " + d.faint(fmt.Sprintf("… and %d before; all that is known: GET /api/v1/servers/%s/checks", more, d.object.Metadata.Name)))
	}
}

func healthTone(state string) tone {
	switch state {
	case "up":
		return good
	case "down":
		return bad
	}
	return plain
}
