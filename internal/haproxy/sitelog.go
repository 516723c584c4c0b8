package haproxy

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/internal/ir"
)

// capture is a header that some sites of the group want in the log; its name is text, who wants it is a map's matter.
type capture struct {
	name, owner string
	length      int
}

// captures are the headers of requests and of responses, by name in small letters. Below 3.4 those to be stripped are
// text as well.
func (r *renderer) captures() (request, response, strip []capture) {
	all := [3]map[string]capture{{}, {}, {}}
	want := func(of map[string]capture, name, owner string, length int) {
		name = strings.ToLower(name)
		c, ok := of[name]
		if !ok {
			c = capture{name: name, owner: owner}
		}
		c.length = max(c.length, length)
		of[name] = c
	}
	for i := range r.node.Sites {
		s := &r.node.Sites[i]
		if s.Log == nil {
			continue
		}
		owner := "Site/" + s.Name
		for name, length := range s.Log.RequestHeaders {
			want(all[0], name, owner, length)
		}
		for name, length := range s.Log.ResponseHeaders {
			want(all[1], name, owner, length)
		}
		if !r.can.HeadersBin {
			for _, name := range s.Log.Strip {
				want(all[2], name, owner, 0)
			}
		}
	}
	sorted := func(of map[string]capture) []capture {
		return slices.SortedFunc(maps.Values(of), func(a, b capture) int { return strings.Compare(a.name, b.name) })
	}
	return sorted(all[0]), sorted(all[1]), sorted(all[2])
}

// wanted is how the map says that a site wants something done with a header.
func wanted(what byte, name string) string {
	return fmt.Sprintf(",%c:%s,", what, strings.ToLower(name))
}

// siteLog captures and strips headers of those sites that ask for it, all of which go the long way. What is stripped is
// captured before.
func (r *renderer) siteLog(s *Section) {
	request, response, strip := r.captures()
	if len(request)+len(response)+len(strip) > 0 {
		s.add("http-request set-var(txn.log) var(txn.site),map_str(%s)", opt(mapLog))
	}
	for _, c := range request {
		s.own(c.owner, "http-request capture req.hdr(%s) len %d if { var(txn.log) -m sub %s }", c.name, c.length, wanted('q', c.name))
	}
	for _, c := range response {
		s.own(c.owner, "declare capture response len %d", c.length)
	}
	for i, c := range response {
		s.own(c.owner, "http-response capture res.hdr(%s) id %d if { var(txn.log) -m sub %s }", c.name, i, wanted('s', c.name))
	}
	for _, c := range strip {
		s.own(c.owner, "http-response del-header %s if { var(txn.log) -m sub %s }", c.name, wanted('x', c.name))
	}
	if r.can.HeadersBin {
		s.add("http-request set-var(txn.strip) var(txn.site),map_str(%s)", opt(mapStrip))
		s.add("http-response del-headers-bin var(txn.strip),b64dec if { var(txn.strip) -m found }")
	}
}

// siteLogMaps says which site wants what.
func (r *renderer) siteLogMaps(s *ir.Site) {
	if s.Log == nil {
		return
	}
	var words []string
	for name := range s.Log.RequestHeaders {
		words = append(words, wanted('q', name))
	}
	for name := range s.Log.ResponseHeaders {
		words = append(words, wanted('s', name))
	}
	var names []byte
	for _, name := range s.Log.Strip {
		words = append(words, wanted('x', name))
		names = append(append(names, byte(len(name))), strings.ToLower(name)...)
	}
	if len(words) == 0 {
		return
	}
	slices.Sort(words)
	r.put(mapLog, s.Name, strings.Join(words, ""), "Site/"+s.Name)
	if len(names) > 0 {
		r.put(mapStrip, s.Name, base64.StdEncoding.EncodeToString(append(names, 0)), "Site/"+s.Name)
	}
}

// capturedFormat is the log format with what is captured of headers under their names; a site that wants none of one has
// null there. Package accesslog reads it.
func (r *renderer) capturedFormat(format string) string {
	request, response, _ := r.captures()
	items := func(item, of string, first int, list []capture) string {
		if len(list) == 0 {
			return ""
		}
		var parts []string
		for i, c := range list {
			parts = append(parts, fmt.Sprintf(`"%s":%%{+json}[capture.%s.hdr(%d)]`, c.name, of, first+i))
		}
		return `,"` + item + `":{` + strings.Join(parts, ",") + "}"
	}
	// The Host is the first of requests.
	return strings.TrimSuffix(format, "}") + items("rq", "req", 1, request) + items("rs", "res", 0, response) + "}"
}
