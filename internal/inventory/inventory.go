// Package inventory reads lists of servers as a CMDB exports them, and works out which objects they change. It is pure.
package inventory

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weir"
)

// MostEntries is how many servers one list may hold.
const MostEntries = 100_000

// mostProblems is how many broken rules are kept of one list; a mistake in an export makes one an entry.
const mostProblems = 1000

// Entry is a server as an inventory tells of it: all that a Server says but whom it is shared with and its registration,
// which stay as they are.
type Entry struct {
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Address netip.Addr `json:"address"`
	Zone    string     `json:"zone"`
	// Clusters are those that the server is in; pools can select by them.
	Clusters []string `json:"clusters,omitempty"`
	// Ports name what the server listens at: {http: 8080}.
	Ports map[string]weir.Port `json:"ports,omitempty"`
	// Weight is 0 to 256 relative to the others of a pool; 100 when left out.
	Weight *int              `json:"weight,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

// List is what was read.
type List struct {
	file    string // names the text in problems
	objects []*weir.Object
	places  map[string]place // by name
	// problems are the first broken rules, found counts all.
	problems []weir.Problem
	found    int
}

// place is where an entry stands: its number, from 0, and its line, from 1.
type place struct{ number, line int }

func newList(file string) *List { return &List{file: file, places: map[string]place{}} }

// Len counts the entries that could be read.
func (l *List) Len() int { return len(l.objects) }

// Problems tells what was wrong with the list, in its order, and how many more places there are than it tells.
func (l *List) Problems() (list []weir.Problem, more int) {
	return slices.Clip(l.problems), l.found - len(l.problems)
}

// Locate gives problems of objects the places of the entries that they are of.
func (l *List) Locate(list []weir.Problem) {
	for i := range list {
		p := &list[i]
		name, _ := strings.CutPrefix(p.Object, "Server/")
		if at, ok := l.places[name]; ok && p.Line == 0 {
			p.File, p.Line, p.Path = l.file, at.line, at.path(p.Path)
		}
	}
}

// path names a field of an entry by the path that it has in the object.
func (at place) path(field string) string {
	for _, before := range []string{"metadata.", "spec."} {
		field = strings.TrimPrefix(field, before)
	}
	entry := "entries[" + strconv.Itoa(at.number) + "]"
	if field == "" {
		return entry
	}
	return entry + "." + field
}

func (l *List) report(at place, name, field, message string) {
	if l.found++; l.found > mostProblems {
		return
	}
	p := weir.Problem{File: l.file, Line: at.line, Path: at.path(field), Message: message}
	if weir.CheckName(name) == nil {
		p.Object = "Server/" + name
	}
	l.problems = append(l.problems, p)
}

// maxEntry bounds one entry, in bytes: what becomes of it takes many times that.
const maxEntry = 64 << 10

// tooLong reports an entry that is.
func (l *List) tooLong(at place, size int) bool {
	if size <= maxEntry {
		return false
	}
	l.report(at, "", "", fmt.Sprintf("is %d bytes long; one server has at most %d", size, maxEntry))
	return true
}

// add takes an entry. What could not be read of it is reported first, and its fields are not reported a second time.
func (l *List) add(at place, e *Entry, unread []weir.Problem) {
	for _, p := range unread {
		l.report(place{at.number, p.Line}, e.Name, p.Path, p.Message)
	}
	o := &weir.Object{
		Kind:     "Server",
		Metadata: weir.Metadata{Name: e.Name, Role: e.Role, Labels: e.Labels, ManagedBy: weir.ManagedByInventory},
		Spec:     &weir.Server{Address: e.Address, Zone: e.Zone, Clusters: e.Clusters, Ports: e.Ports, Weight: e.Weight},
	}
	var broken []weir.Problem
	if first, twice := l.places[e.Name]; twice && e.Name != "" {
		broken = append(broken, weir.Problem{Path: "name", Message: "is there twice: " + first.path("") + " in line " + strconv.Itoa(first.line) + " has it already"})
	} else {
		l.places[e.Name] = at
	}
	if e.Role == "" {
		broken = append(broken, weir.Problem{Path: "role", Message: "is required: pools select servers by their role"})
	}
	broken = append(broken, weir.Validate(o)...)
	for _, p := range broken {
		if !slices.ContainsFunc(unread, func(u weir.Problem) bool { return fieldOf(u.Path) == "" || fieldOf(u.Path) == fieldOf(p.Path) }) {
			l.report(at, e.Name, p.Path, p.Message)
		}
	}
	if len(broken)+len(unread) == 0 {
		l.objects = append(l.objects, o)
	}
}

// fieldOf gives the field of an entry that a path leads to.
func fieldOf(path string) string {
	for _, before := range []string{"metadata.", "spec."} {
		path = strings.TrimPrefix(path, before)
	}
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return path
}
