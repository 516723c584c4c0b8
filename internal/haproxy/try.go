package haproxy

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"weir/internal/ir"
)

// The limits of a HAProxy that only checks.
const (
	tryConnections = 256
	tryTogether    = "max-spread-checks 1ms"
)

// Try decides what a HAProxy is told that takes no traffic and does nothing but check the servers of the node's pools,
// exactly as one that serves would: it is what Render gives without all that listens, is logged or decides about
// requests. First checks begin at once.
func Try(n ir.Node, env Env) Config {
	n = ir.Node{Self: n.Self, Group: n.Group, Tuning: n.Tuning, Pools: slices.Clone(n.Pools), Certificates: n.Certificates}
	n.Self.Namespace = "" // where sites listen
	n.Tuning.Ports, n.Tuning.Stats = nil, nil
	n.Tuning.Threads, n.Tuning.MaxConnections, n.Tuning.OpenFiles = 1, tryConnections, 0
	for i := range n.Pools {
		n.Pools[i].Logic = nil
	}
	c := Render(n, Env{Version: env.Version, User: env.User, Group: env.Group})
	c.CrtLists = nil
	c.Sections = slices.DeleteFunc(c.Sections, func(s Section) bool {
		return s.Kind != "global" && s.Kind != "defaults" && s.Kind != "healthcheck" && s.Kind != "resolvers"
	})
	for i := range c.Sections {
		if s := &c.Sections[i]; s.Kind == "global" {
			s.Lines = slices.Clone(s.Lines)
			for j := range s.Lines {
				if strings.HasPrefix(s.Lines[j].Text, "max-spread-checks ") {
					s.Lines[j].Text = tryTogether
				}
			}
		}
	}
	c.Backends = slices.DeleteFunc(c.Backends, func(b Backend) bool { return Own(b.Name) })
	for i := range c.Backends {
		c.Backends[i].Servers = slices.DeleteFunc(slices.Clone(c.Backends[i].Servers), func(s Server) bool { return Own(s.Name) })
	}
	return c
}

// CheckResult is what the last check of a server said.
type CheckResult struct {
	Proxy, Server string
	// Status is HAProxy's word, as L4OK, L7STS or L4TOUT; empty before the first check is over.
	Status string
	// Code is the status of an answer over HTTP, 0 for none; Took is in milliseconds.
	Code, Took int
	// Said tells all of it in words.
	Said string
}

// Passed says that a check went well.
func (c *CheckResult) Passed() bool {
	switch c.Status {
	case "L4OK", "L6OK", "L7OK", "L7OKC", "PROCOK":
		return true
	}
	return false
}

// CheckResults reads the answer of «show stat»: what it says of the checks of servers.
func CheckResults(text string) ([]CheckResult, error) {
	a := &answer{command: "show stat"}
	text, ok := strings.CutPrefix(text, "# ")
	if !ok {
		return nil, a.wrong("want # and the names of the columns, not %s", shown(text))
	}
	r := csv.NewReader(strings.NewReader(text))
	var col []int
	var list []CheckResult
	for {
		fields, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, a.wrong("%v", err)
		case col == nil:
			if col, err = a.columnsOf(fields, "pxname", "svname", "type", "check_status", "check_code", "check_duration", "last_chk"); err != nil {
				return nil, err
			}
			continue
		case fields[col[2]] != strconv.Itoa(int(StatServer)):
			continue
		}
		// A star says that the next check runs already.
		c := CheckResult{Proxy: fields[col[0]], Server: fields[col[1]], Status: strings.TrimPrefix(fields[col[3]], "* ")}
		if c.Status == "INI" || c.Status == "UNK" {
			c.Status = ""
		}
		c.Code, _ = strconv.Atoi(fields[col[4]])
		c.Took, _ = strconv.Atoi(fields[col[5]])
		c.Said = checkSaid(c.Status, c.Code, fields[col[6]])
		list = append(list, c)
	}
}
