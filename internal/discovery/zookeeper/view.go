package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"weir/internal/discovery"
)

// The bounds of a namespace beyond those of a part.
const (
	maxNodes = 4 * discovery.MaxFound
	maxData  = 4 * discovery.MaxAnswer
)

// view is what is known of a namespace. It outlives sessions: of a node that can't be read what it said before stands.
type view struct {
	source *Source
	sink   discovery.Sink
	zxid   int64
	parts  map[string]*part // by name
	// stale says that the list of services is to be read, missing that the path is not there.
	stale, missing bool
	// listed says that the list of parts has changed since Whole was told.
	listed bool
}

type part struct {
	path  string
	nodes map[string]*node
	// stale says that the list of nodes is to be read, changed that something is to be told.
	stale, changed, gone bool
	err                  error
}

type node struct {
	stale bool
	size  int
	found *discovery.Found // nil: no instance, or none that could be read
	err   error
}

// follow holds a session with one server until that ends, and says whether it told anything.
func (v *view) follow(ctx context.Context, server string) (told bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("watch %s of the zookeeper %s: %w", v.source.config.Path, server, err)
		}
	}()
	c, err := v.source.connect(ctx, server, v.zxid)
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, c.close)
	defer func() {
		if stop() {
			c.close()
		}
		v.zxid = c.zxid
	}()
	v.forget()
	for {
		if err := v.read(c); err != nil {
			return told, err
		}
		// A server that no longer answers must not be taken for one that does: nothing is told after the end.
		if ctx.Err() != nil {
			return told, ctx.Err()
		}
		v.tell(server)
		told = true
		if err := c.wait(); err != nil {
			return told, err
		}
		v.take(c)
	}
}

// forget has everything read anew, as a new session has no watches.
func (v *view) forget() {
	v.stale, v.listed, v.missing = true, true, false
	for _, p := range v.parts {
		p.stale, p.changed = true, true
		for _, n := range p.nodes {
			n.stale = true
		}
	}
}

// take notes what the watches say that have fired; after a pause without any, what failed is tried again.
func (v *view) take(c *session) {
	if len(c.fired) == 0 {
		v.retry()
	}
	for _, e := range c.fired {
		if e.path == v.source.config.Path {
			v.stale = true
		}
		if p := v.parts[path.Base(e.path)]; p != nil && p.path == e.path {
			p.stale = true
		}
		if p := v.parts[path.Base(path.Dir(e.path))]; p != nil && p.path == path.Dir(e.path) && e.kind != childrenChanged {
			if n := p.nodes[path.Base(e.path)]; n != nil {
				n.stale = true
			}
		}
	}
	c.fired = nil
}

func (v *view) retry() {
	v.stale = v.stale || v.missing
	for _, p := range v.parts {
		p.stale = p.stale || p.err != nil
		for _, n := range p.nodes {
			var refused code
			n.stale = n.stale || errors.As(n.err, &refused)
		}
	}
}

// read reads all that is stale, and sets watches on it.
func (v *view) read(c *session) error {
	if v.stale {
		if err := v.readParts(c); err != nil {
			return err
		}
	}
	if err := v.readLists(c); err != nil {
		return err
	}
	return v.readNodes(c)
}

func (v *view) readParts(c *session) error {
	at := v.source.config.Path
	var exists bool
	if err := c.ask(opExists, []string{at}, func(_ int, code code, body *reader) error {
		if exists = code == 0; !exists && code != codeNoNode {
			return fmt.Errorf("look for the node: %w", code)
		}
		if exists {
			body.stat()
		}
		return nil
	}); err != nil {
		return err
	}
	v.stale, v.missing = false, !exists
	if v.missing {
		return nil
	}
	if !v.source.config.Services {
		v.keepParts([]string{path.Base(at)}, path.Dir(at))
		return nil
	}
	return c.ask(opGetChildren2, []string{at}, func(_ int, code code, body *reader) error {
		if code == codeNoNode {
			v.stale = true // its watch has fired, and comes next
			return nil
		}
		names, err := readNames(code, body)
		if err != nil {
			return fmt.Errorf("list the services: %w", err)
		}
		v.keepParts(names, at)
		return nil
	})
}

// keepParts makes the parts those with the names, which are sorted.
func (v *view) keepParts(names []string, below string) {
	for _, name := range names {
		if v.parts[name] == nil {
			v.parts[name] = &part{path: path.Join(below, name), nodes: map[string]*node{}, stale: true, changed: true}
			v.listed = true
		}
	}
	v.drop(func(name string, _ *part) bool {
		_, stays := slices.BinarySearch(names, name)
		return !stays
	})
}

func (v *view) drop(which func(string, *part) bool) {
	before := len(v.parts)
	maps.DeleteFunc(v.parts, which)
	v.listed = v.listed || len(v.parts) != before
}

// readNames takes a list of children, which must be names that ZooKeeper can have, each once.
func readNames(code code, body *reader) ([]string, error) {
	if code != 0 {
		return nil, code
	}
	names, many := body.strings(discovery.MaxFound)
	if many {
		return nil, fmt.Errorf("over %d nodes: %w; are they all meant?", discovery.MaxFound, discovery.ErrTooMuch)
	}
	slices.Sort(names)
	for i, name := range names {
		if checkPath("/"+name) != nil || path.Base(name) != name || name == "/" || i > 0 && names[i-1] == name {
			return nil, fmt.Errorf("%w (a list with the name %q, or with it twice)", errNonsense, discovery.Clip(name))
		}
	}
	return names, nil
}

func (v *view) readLists(c *session) error {
	var stale []*part
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(v.parts)) {
		if p := v.parts[name]; p.stale {
			stale, paths = append(stale, p), append(paths, p.path)
		}
	}
	if err := c.ask(opGetChildren2, paths, func(i int, code code, body *reader) error {
		p := stale[i]
		p.stale = false
		names, err := readNames(code, body)
		if p.gone = code == codeNoNode; p.gone {
			err = nil
		}
		if errors.Is(err, errNonsense) || body.failed {
			return errNonsense
		}
		if p.err = err; err == nil {
			p.keepNodes(names)
		}
		return nil
	}); err != nil {
		return err
	}
	if v.source.config.Services {
		v.drop(func(_ string, p *part) bool { return p.gone })
	} else {
		for _, p := range v.parts {
			// It was there a moment ago; its watch has fired, and comes next.
			v.stale = v.stale || p.gone
			v.missing = v.missing || p.gone
		}
	}
	total := 0
	for _, p := range v.parts {
		total += len(p.nodes)
	}
	if total > maxNodes {
		return fmt.Errorf("list the instances: over %d: %w; watch the services apart", maxNodes, discovery.ErrTooMuch)
	}
	return nil
}

func (p *part) keepNodes(names []string) {
	next := make(map[string]*node, len(names))
	for _, name := range names {
		n := p.nodes[name]
		if n == nil {
			n = &node{stale: true}
		}
		next[name] = n
	}
	p.nodes, p.changed = next, true
}

func (v *view) readNodes(c *session) error {
	type place struct {
		part *part
		name string
	}
	var places []place
	var paths []string
	total := 0
	for _, name := range slices.Sorted(maps.Keys(v.parts)) {
		p := v.parts[name]
		if p.err != nil || p.gone {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(p.nodes)) {
			n := p.nodes[name]
			if n.stale {
				places, paths = append(places, place{p, name}), append(paths, path.Join(p.path, name))
				n.size = 0
			}
			total += n.size
		}
	}
	return c.ask(opGetData, paths, func(i int, code code, body *reader) error {
		p, name := places[i].part, places[i].name
		n := p.nodes[name]
		n.stale, p.changed = false, true
		if code == codeNoNode {
			delete(p.nodes, name) // the list's watch has fired, and comes next
			return nil
		}
		if code != 0 {
			n.err = code
			return nil
		}
		data := body.bytes()
		owner := body.stat().owner
		n.size = len(data)
		if total += n.size; total > maxData {
			return fmt.Errorf("read the instances: over %d bytes of data: %w; watch the services apart", maxData, discovery.ErrTooMuch)
		}
		if len(data) == 0 && owner == 0 {
			n.found, n.err = nil, nil
			return nil
		}
		found, err := readInstance(name, path.Join(p.path, name), data)
		if n.err = err; err == nil {
			n.found = &found
		}
		return nil
	})
}

// tell says what has changed, and then what could not be read.
func (v *view) tell(server string) {
	if v.missing {
		v.sink.Failed(fmt.Errorf("watch %s of the zookeeper %s: there is no such node; create it, or correct the path (with a chroot the path begins with that)", v.source.config.Path, server))
		return
	}
	quiet := !v.listed
	names := slices.Sorted(maps.Keys(v.parts))
	var wrong problems
	for _, name := range names {
		p := v.parts[name]
		if p.err != nil {
			wrong.add(p.path, p.err)
			continue
		}
		found := p.found(&wrong)
		if p.changed {
			p.changed, quiet = false, false
			v.sink.Part(name, found)
		}
	}
	if v.listed {
		v.listed = false
		v.sink.Whole(names)
	}
	switch {
	case wrong.count > 0:
		v.sink.Failed(fmt.Errorf("watch %s of the zookeeper %s: %w", v.source.config.Path, server, &wrong))
	case quiet:
		v.sink.Alive()
	}
}

// found lists the instances, and adds to wrong what is wrong with nodes.
func (p *part) found(wrong *problems) []discovery.Found {
	var all []discovery.Found
	for _, name := range slices.Sorted(maps.Keys(p.nodes)) {
		n := p.nodes[name]
		if n.err != nil {
			wrong.add(path.Join(p.path, name), n.err)
		}
		if n.found != nil && p.changed {
			f := *n.found
			f.Fields = maps.Clone(f.Fields) // the sink's from then on
			all = append(all, f)
		}
	}
	return all
}

// problems are nodes that could not be read, of which the first few are named.
type problems struct {
	count int
	first []error
}

func (p *problems) add(path string, err error) {
	if p.count++; p.count <= 3 {
		p.first = append(p.first, fmt.Errorf("read %s: %w", discovery.Clip(path), err))
	}
}

// Error names the first nodes and says how many there are.
func (p *problems) Error() string {
	text := fmt.Sprintf("%d nodes can't be read, and what they said before stands", p.count)
	if p.count == 1 {
		text = "one node can't be read, and what it said before stands"
	}
	for _, err := range p.first {
		text += ": " + err.Error()
	}
	return text
}

// Unwrap gives the first causes.
func (p *problems) Unwrap() []error { return p.first }
