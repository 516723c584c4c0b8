package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"weir"
	"weir/internal/sources"
	"weir/internal/store"
)

// leadNames is the work of asking the DNS for hosts of Partners, which one server does.
const leadNames = "names"

// knownNames is what is known of the hosts of Partners, whichever server asks for them.
type knownNames struct {
	mu    sync.RWMutex
	names map[weir.PartnerName]*weir.NameStatus
}

func (k *knownNames) of(name weir.PartnerName) *weir.NameStatus {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.names[name]
}

func (s *server) names() *sources.Names {
	return sources.NewNames(sources.Options{Store: s.store, Clock: s.opts.Clock, Log: s.opts.Log, Server: hostname(s.store.ID())}, s.opts.Resolvers)
}

// followNames keeps up with what is written down of hosts of Partners, until ctx ends.
func (s *server) followNames(ctx context.Context) {
	s.store.FollowPlatforms(ctx, sources.NamePrefix, func(changed []store.PlatformValue) {
		known := &s.fleet.names
		known.mu.Lock()
		defer known.mu.Unlock()
		for _, v := range changed {
			name, status := sources.NameOf(v.Name), new(weir.NameStatus)
			if v.Generation == 0 || json.Unmarshal(v.Value.Bytes(), status) != nil {
				delete(known.names, name)
				continue
			}
			if known.names == nil {
				known.names = map[weir.PartnerName]*weir.NameStatus{}
			}
			known.names[name] = status
		}
	})
}

// mostNames is how many services of a Partner are told of one by one.
const mostNames = 8

// named says of a Partner whose services go by names whether those have addresses, and who was asked.
func (v *view) named() []weir.Condition {
	spec, ok := v.object.Spec.(*weir.Partner)
	if !ok {
		return nil
	}
	var failing, waiting, good []string
	c := weir.Condition{Type: weir.Resolved, Status: "True", Reason: "Answers"}
	for i := range spec.Endpoints {
		e := &spec.Endpoints[i]
		name, asked := e.Asked()
		if !asked {
			if e.Resolve == weir.ResolveByLoadBalancer {
				good = append(good, fmt.Sprintf("%s: load balancers ask %s for %s", e.Name(), v.nameservers(), e.Host))
			}
			continue
		}
		addresses := addressText(e)
		switch s := v.fleet.names.of(name); {
		case s == nil:
			waiting = append(waiting, fmt.Sprintf("%s: %s was not asked for yet", e.Name(), e.Host))
		case s.Error != "":
			stands := "it never had an address, and calls to it are answered 503"
			if addresses != "" {
				stands = "what it had last stays: " + addresses
			}
			failing = append(failing, fmt.Sprintf("%s, since %s: %s; %s", e.Name(), clock(s.FailedAt), s.Error, stands))
			if c.Since.IsZero() || s.FailedAt.Before(c.Since) {
				c.Since = s.FailedAt
			}
		default:
			good = append(good, fmt.Sprintf("%s: %s is %s, by %s", e.Name(), e.Host, addresses, strings.Join(s.Servers, ", ")))
		}
	}
	list := good
	switch {
	case len(failing)+len(waiting)+len(good) == 0:
		return nil
	case len(failing) > 0:
		c.Status, c.Reason, list = "False", "Failing", failing
	case len(waiting) > 0:
		c.Status, c.Reason, list = "Unknown", "NotYet", waiting
	}
	if more := len(list) - mostNames; more > 0 {
		list = append(list[:mostNames:mostNames], fmt.Sprintf("and %d more", more))
	}
	c.Message = strings.Join(list, "; ")
	return []weir.Condition{c}
}

func addressText(e *weir.PartnerEndpoint) string {
	var list []string
	for _, a := range e.Resolved {
		list = append(list, a.String())
	}
	return strings.Join(list, ", ")
}

// nameservers says whom the load balancers ask that have to do with the object.
func (v *view) nameservers() string {
	var list []string
	for _, name := range v.concerned() {
		if at := v.groups[name].node.Tuning.Nameservers; len(at) > 0 {
			list = append(list, fmt.Sprintf("%s (group %s)", strings.Join(at, ", "), name))
		}
	}
	if len(list) == 0 {
		return "nobody, for want of nameservers in their Tuning,"
	}
	return strings.Join(list, ", ")
}
