package server

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/secrets"
)

// sharedChallenges is the value of the platform by which all servers of a store answer the same challenges, whoever of
// them has the orders: a list of Challenge.
const sharedChallenges = "challenges"

// Challenge is an http-01 challenge that an authority has set for a name.
type Challenge struct {
	Name string `json:"name"`
	ir.Challenge
}

// shareChallenges lets this server and all others of the store answer the challenges of a list and no others.
func (s *server) shareChallenges(ctx context.Context, list []Challenge) error {
	text, err := json.Marshal(append([]Challenge{}, list...))
	if err != nil {
		return fmt.Errorf("share challenges: %w", err)
	}
	for {
		was, generation, err := s.store.Platform(ctx, sharedChallenges)
		there := weir.KindOf(err) != weir.NotFound
		if !there && len(list) == 0 {
			return nil // none are answered anyway
		}
		if err != nil && there || was.Text() == string(text) {
			return err
		}
		// Stale when it was sealed under another key meanwhile: only the one that has the orders writes it.
		if err := s.store.SetPlatform(ctx, sharedChallenges, text, generation); weir.KindOf(err) != weir.Stale {
			return err
		}
	}
}

// followChallenges takes over what is shared, until ctx ends.
func (s *server) followChallenges(ctx context.Context) {
	s.store.FollowPlatform(ctx, sharedChallenges, func(text secrets.Secret, _ int64) {
		var list []Challenge
		err := json.Unmarshal(text.Bytes(), &list)
		if err == nil {
			err = s.fleet.SetChallenges(list)
		}
		if err != nil {
			s.opts.Log.Error("answer challenges", "error", err)
		}
	})
}

// challenges are those that load balancers are to answer, by token.
type challenges struct {
	mu   *sync.Mutex
	list []Challenge
	// changed has a value when there is something new to look at.
	changed chan struct{}
}

func newChallenges() challenges {
	return challenges{mu: &sync.Mutex{}, changed: make(chan struct{}, 1)}
}

// SetChallenges says which challenges are to be answered, all of them; those that are in force and not in the list are
// answered no longer. A group answers those for names that its sites have: elsewhere nobody comes to ask, and a token that
// one role's name was given is no other role's matter. The error names what can't be in a map; all else is answered.
func (f *fleet) SetChallenges(list []Challenge) error {
	var problems []string
	byToken := map[string]Challenge{}
	for _, c := range list {
		if err := c.Check(); err != nil {
			problems = append(problems, fmt.Sprintf("challenge for %.80q: %v", c.Name, err))
			continue
		}
		byToken[c.Token] = c
	}
	next := slices.SortedFunc(maps.Values(byToken), func(a, b Challenge) int { return strings.Compare(a.Token, b.Token) })
	f.challenges.set(next)
	if len(problems) > 0 {
		return weir.Errorf(weir.Invalid, "answer challenges: %s", strings.Join(problems, "; "))
	}
	return nil
}

func (c *challenges) set(list []Challenge) {
	c.mu.Lock()
	same := slices.Equal(c.list, list)
	c.list = list
	c.mu.Unlock()
	if same {
		return
	}
	select {
	case c.changed <- struct{}{}:
	default: // whoever looks at it sees this list too
	}
}

// of gives the challenges that the load balancers of a node answer, nil for none.
func (c *challenges) of(n *ir.Node) []ir.Challenge {
	c.mu.Lock()
	list := c.list
	c.mu.Unlock()
	if len(list) == 0 || !haproxy.AnswersChallenges(n) {
		return nil
	}
	var out []ir.Challenge
	claims := n.Claims()
	for _, one := range list {
		if claims(one.Name) {
			out = append(out, one.Challenge)
		}
	}
	return out
}

// named gives the challenge of a token; ok is false when it is not in force.
func (c *challenges) named(token string) (one Challenge, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := slices.BinarySearchFunc(c.list, token, func(c Challenge, token string) int { return strings.Compare(c.Token, token) })
	if !ok {
		return Challenge{}, false
	}
	return c.list[i], true
}

// challenge brings the groups to the challenges that are in force now: no wave is waited for, and nothing is compiled.
func (f *fleet) challenge() {
	moved := false
	f.mu.RLock()
	groups := maps.Clone(f.groups)
	f.mu.RUnlock()
	for _, name := range sortedNames(groups) {
		next, differ := groups[name].withChallenges(f.challenges.of(&groups[name].node))
		if differ {
			f.show(name, *next, f.view, nil)
			moved = true
		}
	}
	if moved {
		f.published(f.view.Revision)
	}
}

// withChallenges gives the state with other challenges, and whether they are others.
func (g *groupState) withChallenges(list []ir.Challenge) (next *groupState, differ bool) {
	if slices.Equal(g.node.Challenges, list) {
		return g, false
	}
	copied := *g
	copied.node.Challenges = list
	put, gone := difference(g.node, copied.node)
	copied.resources = patch(g.resources, put, gone)
	return &copied, true
}

// ChallengeGroups gives the groups that answer challenges for a name, and those that serve the name and do not answer,
// because nothing of them speaks http at port 80; both sorted.
func (f *fleet) ChallengeGroups(name string) (answer, silent []string) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, group := range sortedNames(f.groups) {
		g := f.groups[group]
		switch {
		case !g.claims()(name):
		case haproxy.AnswersChallenges(&g.node):
			answer = append(answer, group)
		default:
			silent = append(silent, group)
		}
	}
	return answer, silent
}

// ChallengesServed says what is missing until an authority may be told to ask, a phrase for each load balancer and
// token; nothing when every active load balancer that was heard lately, of all groups that answer for the names, was read
// back to have the answers. One that is silent can't be waited for: an authority that happens on it fails the order,
// which is made again.
func (f *fleet) ChallengesServed(tokens []string) (missing []string) {
	f.mu.RLock()
	groups := maps.Clone(f.groups)
	f.mu.RUnlock()
	var known []Challenge
	for _, token := range tokens {
		if c, ok := f.challenges.named(token); ok {
			known = append(known, c)
		} else {
			missing = append(missing, fmt.Sprintf("challenge %s is not in force", token))
		}
	}
	missing = append(missing, f.unanswered(groups, known)...)
	slices.Sort(missing)
	return missing
}

// unanswered says what is missing until load balancers of the groups answer challenges, a phrase for each load balancer
// and name. It takes no lock of the groups'.
func (f *fleet) unanswered(all map[string]*groupState, list []Challenge) (missing []string) {
	var groups []*groupState
	for _, g := range all {
		if haproxy.AnswersChallenges(&g.node) {
			groups = append(groups, g)
		}
	}
	claims := make([]func(string) bool, len(groups))
	for i, g := range groups {
		claims[i] = g.claims()
	}
	for _, c := range list {
		answering := 0
		for i, g := range groups {
			if claims[i](c.Name) {
				heard, lacking := f.unserved(g, c)
				answering += heard
				missing = append(missing, lacking...)
			}
		}
		if answering == 0 {
			missing = append(missing, fmt.Sprintf("no load balancer that can be reached serves %s and speaks http at port 80", c.Name))
		}
	}
	return missing
}

// unserved counts the load balancers of a group that can be waited for, and names those that do not answer yet.
func (f *fleet) unserved(g *groupState, c Challenge) (heard int, missing []string) {
	id := "challenge/" + c.Token
	for _, self := range g.selves {
		rep, known := f.hub.Reports().Get(self.Name)
		if self.State != weir.Active || !known || f.clock().Sub(rep.At) >= heardWithin {
			continue
		}
		heard++
		d, refused := rep.Resources.Deviations[id]
		switch {
		case refused:
			missing = append(missing, fmt.Sprintf("load balancer %s does not answer for %s: %s", self.Name, c.Name, d.Message))
		case rep.State != link.Converged || rep.Resources.Quarantined > len(rep.Resources.Deviations) || !f.hub.Holds(self.Name, rep.Hash, id):
			missing = append(missing, fmt.Sprintf("load balancer %s does not answer for %s yet", self.Name, c.Name))
		}
	}
	return heard, missing
}
