package weir

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// egressTwoWays is an element that is empty, or a letter or digit that is encoded though it need not be.
var egressTwoWays = regexp.MustCompile(`(?i)//|%(2d|2e|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])`)

// EgressClimbText is what such a call is refused with.
const EgressClimbText = "the path has an element . or .., plain or encoded, by which it could lead elsewhere"

// Refusal is why a load balancer refuses a call, and with which status.
type Refusal struct {
	// Reason is one of form, schedule, path and method.
	Reason string
	Status int
	// Rule names the EgressRule that the text names, "" for none.
	Rule string
	Text string
}

// HoldingCalls gives those of the rules of one path that let something through at a moment, or says why there is none. The
// rules, one at least, are in the order of their names.
func HoldingCalls(rules []EgressCall, at time.Time) (hold []EgressCall, no *Refusal) {
	for i := range rules {
		if rules[i].Holds(at) {
			hold = append(hold, rules[i])
		}
	}
	if len(hold) == 0 {
		by := &rules[0]
		return nil, &Refusal{"schedule", 403, by.Rule, fmt.Sprintf("EgressRule/%s holds only while Schedule/%s does", by.Rule, by.Schedule)}
	}
	return hold, nil
}

// EgressRefusal says what a call is refused with at a moment, "" when one of the rules of its path lets it through.
func EgressRefusal(rules []EgressCall, method, path string, at time.Time) string {
	if EgressClimbs(path) {
		return EgressClimbText
	}
	hold, no := HoldingCalls(rules, at)
	if no == nil {
		_, no = LetCall(hold, method, path)
	}
	if no == nil {
		return ""
	}
	return no.Text
}

// EgressSchedules names the Schedules by which rules of a path let a call through, none when one does at any time.
func EgressSchedules(rules []EgressCall, method, path string) (names []string) {
	for i := range rules {
		if _, no := LetCall(rules[i:i+1], method, path); no != nil {
			continue
		}
		if rules[i].Schedule == "" {
			return nil
		}
		names = append(names, rules[i].Schedule)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// LetCall names the first of the rules of one path that lets a method through, or says why none does. path is the whole one
// of the call without its query; the rules, one at least, are in the order of their names.
func LetCall(rules []EgressCall, method, path string) (rule string, no *Refusal) {
	by := rules[0].Rule
	at := ""
	if parts := strings.SplitN(path, "/", 8); len(parts) == 8 {
		at = "/" + parts[7]
	}
	byPaths := slices.ContainsFunc(rules, func(c EgressCall) bool {
		return slices.ContainsFunc(c.Paths, func(p string) bool { return p != "/" })
	})
	if byPaths && egressTwoWays.MatchString(path) {
		return "", &Refusal{"form", 400, "", "where EgressRules go by paths, what needs no % must be written without, and there is no //"}
	}
	there := false
	for _, c := range rules {
		if len(c.Paths) > 0 && !slices.ContainsFunc(c.Paths, func(p string) bool { return strings.HasPrefix(at+"/", strings.TrimRight(p, "/")+"/") }) {
			continue
		}
		there = true
		if len(c.Methods) == 0 || slices.Contains(c.Methods, method) {
			return c.Rule, nil
		}
	}
	if !there {
		return "", &Refusal{"path", 403, by, fmt.Sprintf("EgressRule/%s lets nothing through at this path", by)}
	}
	return "", &Refusal{"method", 403, by, fmt.Sprintf("EgressRule/%s lets no %s through here", by, method)}
}

// EgressMethod gives the method that calls of some rules are shown with: GET where it is let through at a path, else another
// that is.
func EgressMethod(rules []EgressCall, path string) string {
	methods := []string{"GET"}
	for _, c := range rules {
		methods = append(methods, c.Methods...)
	}
	for _, m := range methods {
		if _, no := LetCall(rules, m, path); no == nil {
			return m
		}
	}
	return methods[0]
}

// FindCalls gives those of a client's calls that have the path of the one that is meant: by partner, service and level, and
// by environment, the client's own when left out, or the only one. It says what may be called where there is none.
func FindCalls(client string, calls []EgressCall, asked EgressCall) ([]EgressCall, error) {
	var paths, others []string
	own := ""
	for _, c := range calls {
		switch {
		case c.Partner == asked.Partner && c.Service == asked.Service && c.SLA == asked.SLA && (asked.Environment == "" || c.Environment == asked.Environment):
			if asked.Environment == "" && strings.Split(c.Path, "/")[2] == c.Environment { // the client's own, as in rules
				own = c.Path
			}
			paths = append(paths, c.Path)
		case c.Partner == asked.Partner:
			others = append(others, c.Environment+"/"+c.Service+" at "+c.SLA)
		}
	}
	paths, others = slices.Compact(paths), slices.Compact(others)
	what := strings.Trim(asked.Environment+"/"+asked.Service, "/")
	switch {
	case own != "":
		paths = []string{own}
	case len(paths) > 1:
		return nil, Errorf(Invalid, "Partner/%s has %s in several environments that EgressClient/%s may call; say which environment", asked.Partner, asked.Service, client)
	case len(paths) == 0 && len(others) > 0:
		return nil, Errorf(NotFound, "no EgressRule lets EgressClient/%s call %s of Partner/%s at %s; it may call %s", client, clip(what), clip(asked.Partner), clip(asked.SLA), upTo(others, 20))
	case len(paths) == 0:
		return nil, Errorf(NotFound, "no EgressRule lets EgressClient/%s call Partner/%s; weir egress calls %s lists what it may call", client, clip(asked.Partner), client)
	}
	return slices.DeleteFunc(slices.Clone(calls), func(c EgressCall) bool { return c.Path != paths[0] }), nil
}

// Lacks says what of a call to a service the Partner of this name does not have: the environment, unless that is "", or the
// service there; nil when it has both.
func (p *Partner) Lacks(name, environment, service string) error {
	var environments, services []string
	for _, e := range p.Endpoints {
		environments = append(environments, e.Environment)
		if environment != "" && e.Environment != environment {
			continue
		}
		if e.Service == service {
			return nil
		}
		services = append(services, e.Name())
	}
	slices.Sort(environments)
	slices.Sort(services)
	switch {
	case len(services) == 0:
		return Errorf(NotFound, "Partner/%s has no environment %s; it has %s", name, clip(environment), upTo(slices.Compact(environments), 20))
	case environment != "":
		return Errorf(NotFound, "Partner/%s has no service %s in environment %s; it has %s", name, clip(service), environment, upTo(services, 20))
	}
	return Errorf(NotFound, "Partner/%s has no service %s; it has %s", name, clip(service), upTo(services, 20))
}

// upTo joins the first n of a list and counts the rest.
func upTo(list []string, n int) string {
	if len(list) > n {
		list = append(slices.Clone(list[:n]), fmt.Sprintf("and %d more", len(list)-n))
	}
	return strings.Join(list, ", ")
}
