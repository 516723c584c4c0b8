package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"weir"
)

// param is a query parameter that a route understands.
type param struct {
	name string
	// kind is boolean, integer or string.
	kind string
	doc  string
	many bool
}

// noBody refuses a body where none is taken: whoever sends one means something by it that would be passed over.
func (c *call) noBody() error {
	if c.route.body != "" || c.r.ContentLength == 0 {
		return nil
	}
	return invalid("this call takes no body: what is meant goes into the parameters of the query%s", c.route.parameters())
}

// knownQuery refuses what the route does not understand: a misspelt dryRun must not become a write.
func (c *call) knownQuery() error {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return invalid("the request's query can't be read: it is not well formed")
	}
	var problems weir.Problems
	for name, list := range values {
		i := slices.IndexFunc(c.route.query, func(p param) bool { return p.name == name })
		path := "query." + name[:min(len(name), 80)]
		if i < 0 {
			problems.Append(weir.Problem{Path: path, Message: "is no parameter here" + c.route.parameters()})
		} else if len(list) > 1 && !c.route.query[i].many {
			problems.Append(weir.Problem{Path: path, Message: "is given twice"})
		}
	}
	if list := problems.List(); len(list) > 0 {
		return &weir.Error{Kind: weir.Invalid, Message: "the request's query can't be understood", Problems: list}
	}
	return nil
}

func (rt *route) parameters() string {
	var names []string
	for _, p := range rt.query {
		names = append(names, p.name)
	}
	if len(names) == 0 {
		return "; there are none"
	}
	return "; those are " + strings.Join(names, ", ")
}

func (c *call) text(name string) string { return c.r.URL.Query().Get(name) }

func (c *call) has(name string) bool { return c.r.URL.Query().Has(name) }

func (c *call) flag(name string) (bool, error) {
	if !c.has(name) {
		return false, nil
	}
	switch v := c.text(name); v {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	default:
		return false, queryProblem(name, v, "true or false")
	}
}

// number reads a whole number, absent when the parameter is.
func (c *call) number(name string, absent, low, high int64) (int64, error) {
	if !c.has(name) {
		return absent, nil
	}
	n, err := strconv.ParseInt(c.text(name), 10, 64)
	if err != nil || n < low || n > high {
		return 0, queryProblem(name, c.text(name), "a whole number from "+strconv.FormatInt(low, 10)+" to "+strconv.FormatInt(high, 10))
	}
	return n, nil
}
