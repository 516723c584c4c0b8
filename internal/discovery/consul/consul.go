// Package consul watches services in Consul, a part for each service, by blocking queries: each asks for what is newer
// than the index that the last answer bore, and is answered when there is, or after a minute with what was there before.
// So a change is known as soon as Consul knows it, and silence is told from no news. What is watched are services by
// name, or all services that some tags are on, which the catalogue is watched for in the same way.
//
// An instance is Ready while its checks pass or warn (only while they pass, with OnlyPassing), and NotReady when one is
// critical, when its node is, and in maintenance. Its ID is node/id, the name of the node and the ID of the service
// there, which stay the same over a restart of either. Its fields are:
//
//	service, id          the service's name and the instance's ID
//	address, port        where it is: of the service, else of its node; no port if it has none
//	node, nodeAddress    the name and the address of its node
//	datacenter, namespace, partition
//	tags                 in Consul's order, with commas between them
//	health               passing, warning, critical or maintenance: the worst that a check of it or its node says
//	weight               what Consul gives it in that health, if it does
//	meta.NAME            what the service was registered with
//	nodeMeta.NAME        what the node was registered with
//	tagged.NAME          another address of it by name, as lan or wan_ipv4
//
// An answer is taken whole or not at all: Consul has checked what was registered, so one entry that makes no sense means
// that something else answers, or that the answer is not understood. The other services are not touched by that. An
// answer that the token's rights have made shorter is refused for the same reason, and so is one of a server that knows
// no leader, since it may have been away for long, or have just begun.
//
// While something fails, Failed is told again after each part that is read, so that what was told last is how it stands.
package consul

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"weir/internal/discovery"
	"weir/internal/discovery/httpget"
)

// Source is a Consul that is watched. Make one with New.
type Source struct {
	config Config
	base   *url.URL
	header http.Header
	http   *httpget.Client
}

// New makes a Source; nothing is asked before it is watched.
func New(c Config) (*Source, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	base, err := httpget.CheckURL(c.Address)
	if err != nil {
		return nil, err
	}
	s := &Source{config: c, base: base, header: http.Header{"Accept": {"application/json"}}, http: httpget.New(c.Dial, c.TLS)}
	if c.Token != "" {
		s.header.Set("X-Consul-Token", c.Token)
	}
	return s, nil
}

// Watch tells sink what is there, and each change, until ctx ends.
func (s *Source) Watch(ctx context.Context, sink discovery.Sink) {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{Source: s, ctx: ctx, sink: sink, news: make(chan news), followed: map[string]*follower{}, failing: map[string]error{}}
	defer s.http.Close()
	defer w.running.Wait()
	defer cancel()
	if len(s.config.Services) == 0 {
		w.catalog = w.follow("")
	}
	for _, name := range s.config.Services {
		w.followed[name] = w.follow(name)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-w.news:
			if ctx.Err() != nil {
				return
			}
			w.take(n)
		}
	}
}

// watch is one call of Watch. Only its own goroutine touches it; followers send it their news.
type watch struct {
	*Source
	ctx     context.Context
	sink    discovery.Sink
	news    chan news
	running sync.WaitGroup

	catalog  *follower            // nil when services are named
	followed map[string]*follower // by service
	failing  map[string]error     // by service, "" for the catalogue
	whole    bool                 // Whole was told of those that are followed
}

// take tells the sink what a follower has learned.
func (w *watch) take(n news) {
	if n.of != w.catalog && w.followed[n.of.service] != n.of {
		return // it was told to end, and was about to speak
	}
	if n.err != nil {
		w.failing[n.of.service] = n.err
		w.sink.Failed(w.failure())
		return
	}
	delete(w.failing, n.of.service)
	n.of.read = true
	told := false
	switch {
	case n.same:
	case n.of == w.catalog:
		told = w.choose(n.names)
	default:
		w.sink.Part(n.of.service, n.found)
		told = true
	}
	if w.tellWhole() {
		told = true
	}
	switch {
	case len(w.failing) > 0:
		w.sink.Failed(w.failure())
	case !told:
		w.sink.Alive()
	}
}

// choose follows those services and no others. One that is no longer there has nothing in it, whatever became of the
// question for it.
func (w *watch) choose(names []string) (told bool) {
	for _, name := range slices.Sorted(maps.Keys(w.followed)) {
		if slices.Contains(names, name) {
			continue
		}
		f := w.followed[name]
		f.end()
		delete(w.followed, name)
		delete(w.failing, name)
		w.whole = false
		if f.read {
			w.sink.Part(name, nil)
			told = true
		}
	}
	for _, name := range names {
		if w.followed[name] == nil {
			w.followed[name] = w.follow(name)
			w.whole = false
		}
	}
	return told
}

// tellWhole says which parts there are, once all of them have been read.
func (w *watch) tellWhole() bool {
	if w.whole || w.catalog != nil && !w.catalog.read {
		return false
	}
	for _, f := range w.followed {
		if !f.read {
			return false
		}
	}
	w.whole = true
	w.sink.Whole(slices.Sorted(maps.Keys(w.followed)))
	return true
}

// failure is all that fails at present, in few words.
func (w *watch) failure() error {
	names := slices.Sorted(maps.Keys(w.failing))
	if len(names) == 1 {
		return w.failing[names[0]]
	}
	const most = 3
	var errs []error
	for _, name := range names[:min(len(names), most)] {
		errs = append(errs, w.failing[name])
	}
	if n := len(names) - most; n > 0 {
		errs = append(errs, fmt.Errorf("and %d more services cannot be read: %s", n, shorten(names[most:])))
	}
	return errors.Join(errs...)
}

func shorten(names []string) string {
	const most = 10
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " …"
	}
	return strings.Join(names, ", ")
}
