package server

import (
	"encoding/json"

	"weir/internal/accesslog"
	"weir/internal/link"
)

// countsOf gives all that a load balancer's access log counted, as far as its report can be read; agents of the version
// before have it in one text.
func countsOf(rep link.Reported) (c accesslog.Counts, ok bool) {
	if len(rep.Counts) == 0 || json.Unmarshal(rep.Counts, &c) != nil {
		return accesslog.Counts{}, false
	}
	if rep.Traffic != nil && c.TakeRows(rep.Traffic.Columns, rep.Traffic.Rows) != nil {
		return accesslog.Counts{}, false
	}
	if rep.Calls != nil && c.TakeCalls(rep.Calls.Columns, rep.Calls.Rows) != nil {
		return accesslog.Counts{}, false
	}
	return c, true
}

// trafficOf gives what a report has by site, pool and zone, as a table whatever the agent's version.
func trafficOf(rep link.Reported) *link.Table {
	if rep.Traffic != nil {
		return rep.Traffic
	}
	c, ok := countsOf(rep)
	if !ok {
		return nil
	}
	t := &link.Table{Since: c.Since, Columns: accesslog.Columns(), Rows: make(map[string]json.RawMessage, len(c.Series))}
	for i := range c.Series {
		t.Rows[c.Series[i].Name()] = c.Series[i].Row()
	}
	return t
}
