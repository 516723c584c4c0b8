package api

import (
	"cmp"
	"slices"
	"strings"

	"weir"
)

// The bounds of a page of rows.
const (
	rowsAtOnce = 50
	mostRows   = 500
	mostOffset = 1_000_000
)

var (
	qParam     = param{name: "q", kind: "string", doc: "Only what has this in its name, or in a host name, address, fingerprint, port or label of it, however it is written."}
	roleParam  = param{name: "role", kind: "string", doc: "Only objects of this role."}
	stateParam = param{name: "state", kind: "string", doc: "Only what is in one of these states: serving, degraded, down, unknown, unused, with commas between."}
	groupParam = param{name: "group", kind: "string", doc: "Only what is of this load balancer group."}
	limitParam = param{name: "limit", kind: "integer", doc: "The most to answer."}
	skipParam  = param{name: "offset", kind: "integer", doc: "How many to pass over."}
	rowsParams = []param{
		qParam, roleParam, stateParam, groupParam,
		{name: "zone", kind: "string", doc: "Only what is of this zone, or is served from it."},
		{name: "pool", kind: "string", doc: "Only servers of this pool, or sites that use it."},
		{name: "sort", kind: "string", doc: "What to go by: name, state, role, revision, or what the kind has: zone, group, servers, days, since, weight, address, reloads, requests, errorRatio, p95. A - before it turns it around. Equal ones are by name; left out, all are by name."},
		limitParam, skipParam,
	}
)

// rowsQuery is what rows are asked for.
type rowsQuery struct {
	kind                       weir.Kind
	q, role, group, zone, pool string
	states                     []State
	sort                       string
	descending                 bool
	limit, offset              int
}

// rows answers a page of a kind's objects with their states.
func (c *call) rows() error {
	kind, ok := kindByPlural(c.r.PathValue("plural"))
	if !ok {
		return weir.Errorf(weir.NotFound, "there is no kind of that name; /api/v1/kinds lists them")
	}
	query, err := c.rowsQuery(kind)
	if err != nil {
		return err
	}
	if err := MayList(c.who, kind, query.role); err != nil {
		return err
	}
	p := c.h.picture(c.who.Subject)
	c.revision = p.view.Revision
	answer := RowsAnswer{Revision: p.view.Revision, States: map[State]int{}, Rows: []Row{}}
	chosen := c.chosen(p, query, answer.States)
	answer.Total = len(chosen)
	if busy[query.sort] {
		p.busy(kind.Name)
	}
	sortLines(chosen, query)
	for _, l := range chosen[min(query.offset, len(chosen)):min(query.offset+query.limit, len(chosen))] {
		answer.Rows = append(answer.Rows, c.row(p, l))
	}
	c.traffic(kind, answer.Rows)
	return c.answerTagged(answer)
}

func kindByPlural(word string) (weir.Kind, bool) {
	for _, k := range weir.Kinds() {
		if k.Plural == word && !k.ReadOnly {
			return k, true
		}
	}
	return weir.Kind{}, false
}

func (c *call) rowsQuery(kind weir.Kind) (rowsQuery, error) {
	q := rowsQuery{kind: kind, q: strings.ToLower(c.text("q")), role: c.text("role"), group: c.text("group"), zone: c.text("zone"), pool: c.text("pool")}
	var err error
	if q.states, err = c.states(); err != nil {
		return q, err
	}
	if q.limit, q.offset, err = c.page(rowsAtOnce, mostRows); err != nil {
		return q, err
	}
	q.sort, q.descending = strings.CutPrefix(cmp.Or(c.text("sort"), "name"), "-")
	if sorts[q.sort] == nil {
		return q, queryProblem("sort", q.sort, "one of "+strings.Join(sortNames(), ", "))
	}
	for _, f := range []struct {
		name, value string
		kinds       []string
	}{
		{"group", q.group, []string{"Site", "LoadBalancer", "IPAddress"}},
		{"zone", q.zone, []string{"Site", "Pool", "Server", "LoadBalancer", "IPAddress"}},
		{"pool", q.pool, []string{"Site", "Server"}},
	} {
		if f.value != "" && !slices.Contains(f.kinds, kind.Name) {
			return q, queryProblem(f.name, f.value, "left out for "+kind.Plural+", which have none")
		}
	}
	return q, nil
}

// states reads the parameter state.
func (c *call) states() (list []State, err error) {
	for word := range strings.SplitSeq(c.text("state"), ",") {
		if word == "" {
			continue
		}
		if !slices.Contains(states, State(word)) {
			return nil, queryProblem("state", word, "serving, degraded, down, unknown or unused, with commas between")
		}
		list = append(list, State(word))
	}
	return list, nil
}

// page reads limit and offset.
func (c *call) page(usual, most int64) (limit, offset int, err error) {
	l, err := c.number("limit", usual, 0, most)
	if err != nil {
		return 0, 0, err
	}
	o, err := c.number("offset", 0, 0, mostOffset)
	return int(l), int(o), err
}

// chosen gives what the filters take of what the caller may see, and counts it by state before the filter of states.
func (c *call) chosen(p *picture, q rowsQuery, counts map[State]int) (list []*line) {
	var words []handled // in the same order
	if q.q != "" {
		words = p.handles(q.kind.Name)
	}
	for i, l := range p.of(q.kind.Name).lines {
		if q.role != "" && l.object.Metadata.Role != q.role || !q.takes(p, l) || c.may(l.object) != nil || q.q != "" && !words[i].contain(q.q) {
			continue
		}
		if l.state != "" {
			counts[l.state]++
		}
		if len(q.states) == 0 || slices.Contains(q.states, l.state) {
			list = append(list, l)
		}
	}
	return list
}

// takes says whether an object is of the group, zone and pool that are asked for.
func (q *rowsQuery) takes(p *picture, l *line) bool {
	if q.group == "" && q.zone == "" && q.pool == "" {
		return true
	}
	switch spec := l.object.Spec.(type) {
	case *weir.Site:
		return (q.group == "" || slices.Contains(p.groupsOf(spec), q.group)) && (q.zone == "" || spec.ServesFrom(q.zone)) && (q.pool == "" || usesPool(spec, q.pool))
	case *weir.Pool:
		return q.zone == "" || spec.Selector != nil && spec.Selector.Zone == q.zone
	case *weir.Server:
		return (q.zone == "" || spec.Zone == q.zone) && (q.pool == "" || slices.Contains(p.poolsOf(l.object.Metadata.Name), q.pool))
	case *weir.LoadBalancer:
		return (q.group == "" || spec.Group == q.group) && (q.zone == "" || spec.Zone == q.zone)
	case *weir.IPAddress:
		return (q.group == "" || slices.Contains(spec.Groups, q.group)) && (q.zone == "" || spec.HomeZone == q.zone)
	}
	return true
}

func usesPool(s *weir.Site, name string) bool {
	for _, b := range s.Backends {
		for _, pool := range b.Pools() {
			if pool == name {
				return true
			}
		}
	}
	return s.Routing != nil && s.Routing.Fallback == name
}
