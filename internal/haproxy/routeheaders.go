package haproxy

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir"
)

// The maps of what routes do with headers: route → names, or names and values, in HAProxy's binary form (configuration.txt,
// req.hdrs_bin), base64.
const (
	mapRequestDel  = "maps/action-request-del.map"
	mapRequestAdd  = "maps/action-request-add.map"
	mapResponseDel = "maps/action-response-del.map"
	mapResponseAdd = "maps/action-response-add.map"
)

// requestHeaders changes the headers of requests, and keeps the route for those of the answer. HAProxy does not look at
// what a map says of headers: package weir has.
func (r *renderer) requestHeaders(rule adder, does string) {
	rule("set-var(txn.act) var(txn.route) if %s", does)
	if r.can.HeadersBin {
		headersBin(rule, mapRequestDel, mapRequestAdd)
		return
	}
	r.headerText(func(owner, format string, args ...any) { rule(format, args...) }, func(a weir.RouteAction) *weir.HeaderChanges { return a.RequestHeaders })
}

// responseHeaders changes the headers of answers, after everything else that is done with them.
func (r *renderer) responseHeaders(s *Section) {
	if r.can.HeadersBin {
		headersBin(func(format string, args ...any) { s.add("http-response "+format, args...) }, mapResponseDel, mapResponseAdd)
		return
	}
	r.headerText(func(owner, format string, args ...any) { s.own(owner, "http-response "+format, args...) }, func(a weir.RouteAction) *weir.HeaderChanges { return a.ResponseHeaders })
}

func headersBin(rule adder, del, add string) {
	for _, step := range [][2]string{{"del", del}, {"add", add}} {
		rule("%s-headers-bin var(txn.act),map_str(%s),b64dec if { var(txn.act) -m found } { var(txn.act),map_str(%s) -m found }", step[0], opt(step[1]), opt(step[1]))
	}
}

// headerText writes the changes out below 3.4, where names can't come out of maps.
func (r *renderer) headerText(rule func(owner, format string, args ...any), changes func(weir.RouteAction) *weir.HeaderChanges) {
	done := map[string]bool{}
	for i := range r.node.Sites {
		s := &r.node.Sites[i]
		for j := range s.Routes {
			route := &s.Routes[j]
			c := changes(route.Does())
			target := r.target(s, route)
			if c == nil || done[target] {
				continue
			}
			done[target] = true
			say := func(what string) { rule("Site/"+s.Name, "%s if { var(txn.act) -m str %s }", what, target) }
			for _, name := range c.Remove {
				say("del-header " + name)
			}
			for _, step := range []struct {
				how string
				of  map[string]string
			}{{"set", c.Set}, {"add", c.Add}} {
				for _, name := range slices.Sorted(maps.Keys(step.of)) {
					say(fmt.Sprintf("%s-header %s %s", step.how, name, Quoted(strings.ReplaceAll(step.of[name], "%", "%%"))))
				}
			}
		}
	}
}

// headerDigest differs when what is done with headers does, "" for nothing.
func headerDigest(a weir.RouteAction) string {
	if a.RequestHeaders == nil && a.ResponseHeaders == nil {
		return ""
	}
	text, err := json.Marshal([]any{a.RequestHeaders, a.ResponseHeaders})
	if err != nil {
		panic(fmt.Sprintf("headers of a route: %v", err))
	}
	return string(text)
}

// headerMaps puts down what is done with headers: what is set is deleted and added.
func (r *renderer) headerMaps(target string, a weir.RouteAction, owner string) {
	if !r.can.HeadersBin {
		return
	}
	for _, side := range []struct {
		c        *weir.HeaderChanges
		del, add string
	}{{a.RequestHeaders, mapRequestDel, mapRequestAdd}, {a.ResponseHeaders, mapResponseDel, mapResponseAdd}} {
		if side.c == nil {
			continue
		}
		var del, add []byte
		for _, name := range slices.Concat(side.c.Remove, slices.Sorted(maps.Keys(side.c.Set))) {
			del = appendBin(del, name)
		}
		for _, of := range []map[string]string{side.c.Set, side.c.Add} {
			for _, name := range slices.Sorted(maps.Keys(of)) {
				add = appendBin(appendBin(add, name), of[name])
			}
		}
		if del != nil {
			r.put(side.del, target, base64.StdEncoding.EncodeToString(append(del, 0)), owner)
		}
		if add != nil {
			r.put(side.add, target, base64.StdEncoding.EncodeToString(append(add, 0, 0)), owner)
		}
	}
}

// appendBin appends a text with its length before it, as HAProxy writes numbers: up to 239 in one byte, beyond that four
// bits in the first and seven in each after it.
func appendBin(b []byte, s string) []byte {
	n := len(s)
	if n < 240 {
		return append(append(b, byte(n)), s...)
	}
	b = append(b, byte(n)|240)
	for n = (n - 240) >> 4; n >= 128; n = (n - 128) >> 7 {
		b = append(b, byte(n)|128)
	}
	return append(append(b, byte(n)), s...)
}
