package agent

import (
	"regexp"
	"sort"
	"strconv"
	"strings"

	"weir/internal/haproxy"
	"weir/internal/ir"
)

// complaint is one thing that HAProxy said against a configuration.
type complaint struct {
	// File and Line tell where, as far as HAProxy said it.
	File string
	Line int
	Text string
}

// blame finds the object that a complaint is about: the one that a line of haproxy.cfg, of a map or of a
// crt-list comes from, or whose certificate is named. Places in the words come before the line that HAProxy
// was reading, which may only be where a map is used. It is "" when neither tells.
func blame(c haproxy.Config, said complaint) string {
	for _, at := range placeIn.FindAllStringSubmatch(said.Text, -1) {
		line, _ := strconv.Atoi(at[2])
		if owner := ownerAt(c, at[1], line); owner != "" {
			return owner
		}
	}
	for _, at := range lineOf.FindAllStringSubmatch(said.Text, -1) {
		line, _ := strconv.Atoi(at[1])
		if owner := ownerAt(c, at[2], line); owner != "" {
			return owner
		}
	}
	for _, cert := range c.Certs {
		if strings.Contains(said.Text, cert.Path) {
			return cert.Owner
		}
	}
	for _, m := range c.Maps {
		if m.Ordered && strings.Contains(said.Text, m.Path) {
			if owner := ownerOfKey(m, said.Text); owner != "" {
				return owner
			}
		}
	}
	return ownerAt(c, said.File, said.Line)
}

// placeIn finds "file:12" and "file 'x' at line 12" in HAProxy's words.
var placeIn = regexp.MustCompile(`((?:maps|certs)/[A-Za-z0-9_.-]+|haproxy\.cfg)['"]?(?::| at line | line )(\d+)`)

// lineOf finds "line 12 of file 'opt@x'".
var lineOf = regexp.MustCompile(`line (\d+) of file '(?:opt@)?([^']+)'`)

func ownerAt(c haproxy.Config, file string, line int) string {
	if line < 1 {
		return ""
	}
	if strings.HasSuffix(file, haproxy.ConfigFile) {
		if _, owners := c.Text(); line <= len(owners) {
			return owners[line-1]
		}
		return ""
	}
	for _, m := range c.Maps {
		if strings.HasSuffix(file, m.Path) && line <= len(m.Entries) {
			return m.Entries[line-1].Owner
		}
	}
	for _, l := range c.CrtLists {
		if strings.HasSuffix(file, l.Path) && line <= len(l.Entries) {
			e := l.Entries[line-1]
			for _, cert := range c.Certs {
				if cert.Path == e.File {
					return cert.Owner
				}
			}
			return e.Owner
		}
	}
	return ""
}

// ownerOfKey finds the entry whose key HAProxy repeats.
func ownerOfKey(m haproxy.Map, text string) string {
	for _, e := range m.Entries {
		if strings.Contains(text, e.Key) {
			return e.Owner
		}
	}
	return ""
}

// changedSince lists what is in list and not, in the same form, in good.
func changedSince(list, good []*ir.Resource) []*ir.Resource {
	known := make(map[string]*ir.Resource, len(good))
	for _, r := range good {
		known[r.ID] = r
	}
	var out []*ir.Resource
	for _, r := range list {
		if was, ok := known[r.ID]; !ok || !was.Same(r) {
			out = append(out, r)
		}
	}
	return out
}

// culprits finds, by halves, the changed resources without which accepts is true again. Resources are tried
// upon those that are known to be good, so one bad object among a thousand costs about ten tries.
func culprits(base, changed []*ir.Resource, accepts func([]*ir.Resource) bool) []*ir.Resource {
	var bad []*ir.Resource
	good := base
	var try func(part []*ir.Resource)
	try = func(part []*ir.Resource) {
		if len(part) == 0 {
			return
		}
		if with := merge(good, part); accepts(with) {
			good = with
			return
		}
		if len(part) == 1 {
			bad = append(bad, part[0])
			return
		}
		try(part[:len(part)/2])
		try(part[len(part)/2:])
	}
	sort.SliceStable(changed, func(i, j int) bool { return rank(changed[i].ID) < rank(changed[j].ID) })
	try(changed)
	return bad
}

// rank puts what others refer to first, so that a part is never refused for want of another.
func rank(id string) int {
	kind, _, _ := strings.Cut(id, "/")
	for i, k := range []string{"self", "group", "tuning", "certificate", "page", "list", "map", "pool", "server", "address", "site"} {
		if k == kind {
			return i
		}
	}
	return 99
}

// merge gives base with the resources of part put over it.
func merge(base, part []*ir.Resource) []*ir.Resource {
	over := make(map[string]bool, len(part))
	for _, r := range part {
		over[r.ID] = true
	}
	out := make([]*ir.Resource, 0, len(base)+len(part))
	for _, r := range base {
		if !over[r.ID] {
			out = append(out, r)
		}
	}
	return append(out, part...)
}
