package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
)

// moves are the overrides in force, and who made them.
type moves struct {
	list    []*object
	authors map[string]string
}

// mostAuthors is of how many overrides is asked who made them.
const mostAuthors = 50

// moves reads what was done to servers by hand and is in force; what can't be learnt is left out.
func (c *client) moves(ctx context.Context, takes func(*weir.Override) bool) *moves {
	kind, _ := weir.KindByName("Override")
	all, err := c.all(ctx, kind, nil)
	if err != nil {
		return new(moves)
	}
	list := slices.DeleteFunc(all.Items, func(o *object) bool {
		spec := o.Spec.(*weir.Override)
		return !c.now().Before(spec.ExpiresAt) || !takes(spec)
	})
	return &moves{list: list, authors: c.authorsOf(ctx, list)}
}

// authorsOf tells who wrote objects last, by name, as far as that can be learnt.
func (c *client) authorsOf(ctx context.Context, list []*object) map[string]string {
	if len(list) > mostAuthors {
		return nil
	}
	found := make([]string, len(list))
	inParallel(len(list), 8, func(i int) {
		page := new(changeList)
		query := url.Values{"kind": {list[i].Kind}, "name": {list[i].Metadata.Name}, "limit": {"1"}}
		if c.get(ctx, "changes", query, page) == nil && len(page.Items) > 0 && page.Items[0].Revision == list[i].Revision {
			found[i] = page.Items[0].Author
		}
	})
	authors := map[string]string{}
	for i, o := range list {
		authors[o.Metadata.Name] = found[i]
	}
	return authors
}

// of gives what holds for a server of a pool; without a pool, what holds for it in any.
func (m *moves) of(pool, server string) []*object {
	var own []*object
	for _, o := range m.list {
		if spec := o.Spec.(*weir.Override); spec.Server == server && (pool == "" || spec.Pool == "" || spec.Pool == pool) {
			own = append(own, o)
		}
	}
	return own
}

// text says what was done, until when, by whom and why.
func (m *moves) text(o *object, inPool bool) string {
	spec := o.Spec.(*weir.Override)
	text := doesText(spec)
	if inPool && spec.Pool != "" {
		text += " in pool " + spec.Pool
	}
	if !spec.ExpiresAt.IsZero() {
		text += " until " + spec.ExpiresAt.Local().Format("2006-01-02 15:04")
	}
	if by := m.authors[o.Metadata.Name]; by != "" {
		text += " by " + by
	}
	return text + ": " + spec.Reason
}

// cell says what was done to a server; of a pool's, without the pool's name.
func (m *moves) cell(pool, server string) cell {
	var texts []string
	for _, o := range m.of(pool, server) {
		texts = append(texts, m.text(o, pool == ""))
	}
	return cell{strings.Join(texts, "; "), warning}
}

// poolCell says what was done to the servers of a pool.
func (m *moves) poolCell(pool string, servers []string) cell {
	const most = 2
	var texts []string
	for _, server := range servers {
		if c := m.cell(pool, server); c.text != "" {
			texts = append(texts, server+" "+c.text)
		}
	}
	if more := len(texts) - most; more > 0 {
		texts = append(texts[:most], fmt.Sprintf("%d more", more))
	}
	return cell{strings.Join(texts, "; "), warning}
}

// state is what the strongest override makes of a server: maintenance, drain, or nothing.
func (m *moves) state(pool, server string) string {
	state := ""
	for _, o := range m.of(pool, server) {
		switch spec := o.Spec.(*weir.Override); {
		case spec.State == weir.StateMaintenance:
			return weir.StateMaintenance
		case spec.State == weir.StateDrain, spec.Weight != nil && *spec.Weight == 0:
			state = weir.StateDrain
		}
	}
	return state
}

// members counts the servers of a pool that every load balancer, or only some, would send traffic, and apart from
// them those that somebody took out: to call those up would be wrong, to call the pool broken as well.
func (m *moves) members(pool string, servers []api.ServerHealth) cell {
	var up, partly, drained, maintained int
	for _, s := range servers {
		switch state := m.state(pool, s.Server); {
		case state == weir.StateDrain:
			drained++
		case state == weir.StateMaintenance:
			maintained++
		case s.Of > 0 && s.Up == s.Of:
			up++
		case s.Up > 0:
			partly++
		}
	}
	text := fmt.Sprintf("%d/%d up", up, len(servers))
	for _, more := range []struct {
		n    int
		word string
	}{{partly, "partly"}, {drained, "drained"}, {maintained, "in maintenance"}} {
		if more.n > 0 {
			text += fmt.Sprintf(", %d %s", more.n, more.word)
		}
	}
	switch {
	case len(servers) == 0:
		return cell{"none", warning}
	case up+partly == 0:
		return cell{text, bad}
	case up < len(servers):
		return cell{text, warning}
	}
	return cell{text, good}
}

// serversOf names the servers of a pool as far as that is known: those that its load balancers tell of, its static
// members, and when nobody tells, those that something was done to in this pool alone.
func (m *moves) serversOf(pool string, spec *weir.Pool, servers []api.ServerHealth) []string {
	var names []string
	for _, s := range servers {
		names = append(names, s.Server)
	}
	for _, s := range spec.Members {
		names = append(names, s.Name)
	}
	for _, o := range m.list {
		if spec := o.Spec.(*weir.Override); spec.Pool == pool && servers == nil {
			names = append(names, spec.Server)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func learnMoves(ctx context.Context, f *facts, _ []*object) {
	f.moves = f.client.moves(ctx, func(*weir.Override) bool { return true })
}

func learnAuthors(ctx context.Context, f *facts, objects []*object) {
	f.moves = &moves{authors: f.client.authorsOf(ctx, objects)}
}

func learnPools(ctx context.Context, f *facts, objects []*object) {
	learnHealth(ctx, f, objects)
	learnMoves(ctx, f, objects)
}

// byHand is the cell of whoever made an override.
func (m *moves) byHand(o *object) cell {
	return cell{text: cmp.Or(m.authors[o.Metadata.Name], "unknown")}
}
