package link

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrUnknown is wrapped by what a Registry says of a load balancer that does not exist.
var ErrUnknown = errors.New("no such load balancer")

// Stranger is an agent that shows a good certificate of a load balancer that does not exist: it was deleted, or
// the control plane was restored from a backup that is older than it.
type Stranger struct {
	Name string `json:"name"`
	// Address is where it came from last; First and Last say when.
	Address string    `json:"address"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

const (
	maxStrangers = 1000
	// strangeFor is how long one is remembered that no longer comes; agents that are refused come every half minute.
	strangeFor = 3 * time.Minute
)

// strangers remembers those who came lately.
type strangers struct {
	mu     sync.Mutex
	byName map[string]Stranger
}

func (s *strangers) note(one Stranger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName = map[string]Stranger{}
	}
	before, known := s.byName[one.Name]
	if !known && len(s.byName) >= maxStrangers {
		return
	}
	if known && before.First.Before(one.First) {
		one.First = before.First
	}
	if known && before.Last.After(one.Last) {
		one.Last, one.Address = before.Last, before.Address
	}
	s.byName[one.Name] = one
}

// welcome forgets one that has become known.
func (s *strangers) welcome(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byName, name)
}

func (s *strangers) list(now time.Time) []Stranger {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Stranger
	for name, one := range s.byName {
		if now.Sub(one.Last) > strangeFor {
			delete(s.byName, name)
			continue
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Stranger) int { return cmp.Or(strings.Compare(a.Name, b.Name), a.First.Compare(b.First)) })
	return list
}

// Strangers lists the agents of load balancers that do not exist, by name, that came in the last few minutes.
func (h *Hub) Strangers() []Stranger { return h.strangers.list(h.opts.Now()) }
