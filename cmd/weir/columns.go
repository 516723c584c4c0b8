package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"weir"
	"weir/internal/api"
)

// facts is what a table needs beside the objects; what could not be learnt is empty and shows as unknown.
type facts struct {
	fleet  map[string]api.LoadBalancerStatus
	groups map[string]api.GroupStatus
	counts map[string]api.SiteCounts
	health map[string][]api.ServerHealth
	moves  *moves
	client *client
}

// kindTable says how the objects of a kind are shown: the columns after the name, and the cells in them.
type kindTable struct {
	columns []column
	cells   func(f *facts, o *object) []cell
	// learn gets what the cells need besides the objects.
	learn func(ctx context.Context, f *facts, objects []*object)
	// order puts the objects in another order than that of their names.
	order func(a, b *object) int
}

// newTableOf makes the table of objects of one kind.
func newTableOf(ctx context.Context, c *client, kind weir.Kind, objects []*object) *table {
	k, ok := kindTables[kind.Name]
	if !ok {
		k = kindTable{cells: func(*facts, *object) []cell { return nil }}
	}
	roles := slices.ContainsFunc(objects, func(o *object) bool { return o.Metadata.Role != "" })
	t := &table{columns: []column{{title: "NAME"}}}
	if roles {
		t.columns = append(t.columns, column{title: "ROLE"})
	}
	t.columns = append(t.columns, k.columns...)
	f := &facts{client: c}
	if k.learn != nil && len(objects) > 0 {
		k.learn(ctx, f, objects)
	}
	if k.order != nil {
		objects = slices.SortedStableFunc(slices.Values(objects), k.order)
	}
	for _, o := range objects {
		row := []cell{{text: o.Metadata.Name}}
		if roles {
			row = append(row, cell{text: o.Metadata.Role})
		}
		t.add(append(row, k.cells(f, o)...))
	}
	return t
}

// learnFleet reads the state of the load balancers; without the right to see it, the table goes without.
func learnFleet(ctx context.Context, f *facts, _ []*object) {
	f.fleet, f.groups = map[string]api.LoadBalancerStatus{}, map[string]api.GroupStatus{}
	fleet, err := f.client.fleet(ctx)
	if err != nil {
		return
	}
	for _, g := range fleet.Groups {
		f.groups[g.Name] = g
		for _, lb := range g.LoadBalancers {
			f.fleet[lb.Name] = lb
		}
	}
}

func learnCounts(ctx context.Context, f *facts, _ []*object) {
	answer := new(api.SiteCountsAnswer)
	if f.client.get(ctx, "counts", nil, answer) == nil {
		f.counts = answer.Sites
	}
}

// mostHealth is of how many pools the health is asked for a table; of more, the condition Serving has to do.
const mostHealth = 200

func learnHealth(ctx context.Context, f *facts, objects []*object) {
	if len(objects) > mostHealth {
		return
	}
	f.health = map[string][]api.ServerHealth{}
	found := make([]*api.PoolHealth, len(objects))
	inParallel(len(objects), 8, func(i int) {
		answer := new(api.PoolHealth)
		if f.client.get(ctx, "pools/"+objects[i].Metadata.Name+"/health", nil, answer) == nil {
			found[i] = answer
		}
	})
	for _, h := range found {
		if h != nil {
			f.health[h.Pool] = h.Servers
		}
	}
}

// programmed gives n/m of the load balancers that have the object.
func programmed(o *object) cell {
	if q := o.condition(weir.Quarantined); q != nil && q.Status == "True" {
		return cell{"quarantined", bad}
	}
	if a := o.condition(weir.Accepted); a != nil && a.Status == "False" {
		return cell{"left out", bad}
	}
	c := o.condition(weir.Programmed)
	switch {
	case c == nil:
		return cell{}
	case c.Of == 0:
		return cell{"0/0", faint}
	case c.Ready < c.Of:
		return cell{fmt.Sprintf("%d/%d", c.Ready, c.Of), warning}
	}
	return cell{fmt.Sprintf("%d/%d", c.Ready, c.Of), good}
}

// serving tells whether health checks see something that answers.
func serving(o *object) cell {
	c := o.condition(weir.Serving)
	switch {
	case c == nil:
		return cell{}
	case c.Status == "True" && uncertified(o):
		return cell{"in part", warning}
	case c.Status == "True":
		return cell{"yes", good}
	case c.Status == "False":
		return cell{"NO", bad}
	case unused(o):
		return cell{"unused", faint}
	}
	return cell{"unknown", warning}
}

// unused says that no load balancer is told of an object, since nothing that they serve uses it.
func unused(o *object) bool {
	c := o.condition(weir.Programmed)
	return c != nil && c.Reason == "NotInUse"
}

// uncertified says that some host names of a site have no certificate.
func uncertified(o *object) bool {
	c := o.condition(weir.Certified)
	return c != nil && c.Status == "False"
}

// requests and errors are of a site since the agents began.
func requests(counts api.SiteCounts, known bool) (all, errors cell) {
	if !known {
		return cell{}, cell{}
	}
	n := counts.Statuses["5xx"]
	errors = cell{text: large(n)}
	if n > 0 && counts.Requests > 0 {
		errors = cell{fmt.Sprintf("%s (%s)", large(n), share(n, counts.Requests)), warning}
	}
	return cell{text: large(counts.Requests)}, errors
}

func share(n, of uint64) string {
	percent := 100 * float64(n) / float64(of)
	if percent < 0.01 {
		return "<0.01%"
	}
	return strconv.FormatFloat(percent, 'f', 2, 64) + "%"
}
