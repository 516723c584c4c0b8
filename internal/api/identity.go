package api

import (
	"slices"
	"sync"

	"weir"
	"weir/internal/store"
)

// directory finds tokens by their hashes and grants by their subjects. It is made anew when the store's tokens
// or grants differ from those it was made of, which costs nothing to ask.
type directory struct {
	store *store.Store

	mu             sync.Mutex
	tokens, grants *weir.Stamp
	byHash         map[string]*weir.Object
	bySubject      map[string][]weir.Grant
}

// token gives the Token object that a hash belongs to, nil when there is none.
func (d *directory) token(hash string) *weir.Object {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refresh()
	return d.byHash[hash]
}

// caller gives a subject, and the groups that it is in, with the grants of this moment.
func (d *directory) caller(subject string, groups ...string) Caller {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refresh()
	who := Caller{Subject: subject, Groups: groups, Grants: d.bySubject[subject]}
	for _, g := range groups {
		who.Grants = append(slices.Clip(who.Grants), d.bySubject[g]...)
	}
	return who
}

func (d *directory) refresh() {
	view := d.store.View()
	if stamp := view.Stamp("Token"); stamp != d.tokens {
		d.tokens, d.byHash = stamp, make(map[string]*weir.Object, view.Len("Token"))
		for o := range view.All("Token") {
			if hash := o.Spec.(*weir.Token).Hash; hash != "" {
				d.byHash[hash] = o
			}
		}
	}
	if stamp := view.Stamp("Grant"); stamp != d.grants {
		d.grants, d.bySubject = stamp, make(map[string][]weir.Grant)
		for o := range view.All("Grant") {
			g := *o.Spec.(*weir.Grant)
			d.bySubject[g.Subject] = append(d.bySubject[g.Subject], g)
		}
	}
}
