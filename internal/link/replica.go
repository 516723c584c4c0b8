package link

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// replica is the agent's copy of what its load balancer must do. The zero value is empty.
type replica struct {
	epoch    string
	revision int64
	hash     Hash
	list     []*ir.Resource // by ID
	// lent tells that somebody else reads list, so that a change needs a copy.
	lent bool
	keys map[string]weir.SealedRef // that the certificates in list refer to, by name
}

var errDiverged = errors.New("what was received does not add up to what the control plane has")

func (r *replica) resume() Resume { return Resume{r.epoch, r.revision, r.hash} }

func (r *replica) find(id string) (int, bool) {
	return slices.BinarySearchFunc(r.list, id, func(e *ir.Resource, id string) int { return strings.Compare(e.ID, id) })
}

// transaction collects lines until the one that commits them.
type transaction struct {
	reset bool
	// writes holds the last word on each ID; a nil body deletes.
	writes map[string][]byte
	keyed  bool // secrets came with it
	// made and sums are what was worked out of bodies already, which thousands of certificates make worth keeping.
	made map[string]*ir.Resource
	sums map[string]Hash
}

// resource gives what is written under an ID.
func (t *transaction) resource(id string) *ir.Resource {
	if r, ok := t.made[id]; ok {
		return r
	}
	if t.made == nil {
		t.made = make(map[string]*ir.Resource, len(t.writes))
	}
	r := ir.NewResource(id, t.writes[id])
	t.made[id] = r
	return r
}

func (t *transaction) hash(id string) Hash {
	if h, ok := t.sums[id]; ok {
		return h
	}
	if t.sums == nil {
		t.sums = make(map[string]Hash, len(t.writes))
	}
	h := hashResource(id, t.writes[id])
	t.sums[id] = h
	return h
}

func (t *transaction) add(m message) {
	if m.Reset {
		t.reset, t.writes, t.made, t.sums = true, nil, nil, nil
	}
	if t.writes == nil {
		t.writes = make(map[string][]byte, len(m.Put)+len(m.Delete))
	}
	for _, p := range m.Put {
		t.write(p.ID, p.Body)
	}
	for _, id := range m.Delete {
		t.write(id, nil)
	}
	if len(m.read) > 0 && t.made == nil {
		t.made = make(map[string]*ir.Resource, len(m.read))
	}
	maps.Copy(t.made, m.read)
	t.keyed = t.keyed || len(m.Secrets) > 0
}

func (t *transaction) write(id string, body []byte) {
	t.writes[id] = body
	delete(t.made, id)
	delete(t.sums, id)
}

// empty tells that the transaction changes no resource.
func (t *transaction) empty() bool { return !t.reset && len(t.writes) == 0 }

// size is about how long it is as it is kept, in bytes.
func (t *transaction) size() int {
	n := 256
	for id, body := range t.writes {
		n += len(id) + len(body) + 32
	}
	return n
}

// sorted gives the IDs written, sorted.
func (t *transaction) sorted() []string {
	ids := make([]string, 0, len(t.writes))
	for id := range t.writes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// sum works out the hash that the replica has after t, without changing it.
func (r *replica) sum(t *transaction) Hash {
	var h Hash
	if !t.reset {
		h = r.hash
	}
	for id, body := range t.writes {
		if i, ok := r.find(id); ok && !t.reset {
			h = h.xor(hashResource(id, r.list[i].JSON()))
		}
		if body != nil {
			h = h.xor(t.hash(id))
		}
	}
	return h
}

// check tells why a transaction that ends at a revision of an epoch with a hash must not be applied, or nil: it
// does not add up, or goes back in time.
func (r *replica) check(t *transaction, epoch string, revision int64, hash Hash) error {
	if epoch == r.epoch && revision < r.revision {
		return fmt.Errorf("the control plane offers revision %d, this agent has %d already", revision, r.revision)
	}
	if _, err := t.keys(); err != nil {
		return err
	}
	if r.sum(t) != hash {
		return errDiverged
	}
	return nil
}

// apply changes the replica; after an error it is as before.
func (r *replica) apply(t *transaction, epoch string, revision int64, hash Hash) error {
	if err := r.check(t, epoch, revision, hash); err != nil {
		return err
	}
	r.rekey(t)
	r.write(t)
	r.epoch, r.revision, r.hash = epoch, revision, hash
	return nil
}

// rekey follows the certificates written. The map is replaced, since states given out hold the old one.
func (r *replica) rekey(t *transaction) {
	fresh, err := t.keys()
	if err != nil || t.empty() {
		return // check has said so
	}
	old := r.keys
	if t.reset {
		old = nil
	}
	next := make(map[string]weir.SealedRef, len(old)+len(fresh))
	touched := t.reset
	for name, ref := range old {
		if _, ok := t.writes["certificate/"+name]; ok {
			touched = true
			continue
		}
		next[name] = ref
	}
	if !touched && len(fresh) == 0 {
		return
	}
	maps.Copy(next, fresh)
	r.keys = next
}

func (t *transaction) keys() (map[string]weir.SealedRef, error) {
	keys := map[string]weir.SealedRef{}
	for id, body := range t.writes {
		if body == nil {
			continue
		}
		if !strings.HasPrefix(id, "certificate/") {
			continue
		}
		ref, err := keyOf(t.resource(id))
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", id, err)
		}
		if ref != nil {
			keys[strings.TrimPrefix(id, "certificate/")] = *ref
		}
	}
	return keys, nil
}

// write changes the list, in place where only bodies change and nobody reads it.
func (r *replica) write(t *transaction) {
	if t.empty() {
		return
	}
	ids := t.sorted()
	if t.reset {
		r.list, r.lent = nil, false
	}
	if !r.onlyBodies(t, ids) {
		r.list, r.lent = merge(r.list, ids, t), false
		return
	}
	if r.lent {
		r.list, r.lent = slices.Clone(r.list), false
	}
	for _, id := range ids {
		i, _ := r.find(id)
		r.list[i] = t.resource(id)
	}
}

func (r *replica) onlyBodies(t *transaction, ids []string) bool {
	for _, id := range ids {
		if _, ok := r.find(id); !ok || t.writes[id] == nil {
			return false
		}
	}
	return true
}

func merge(list []*ir.Resource, ids []string, t *transaction) []*ir.Resource {
	out := make([]*ir.Resource, 0, len(list)+len(ids))
	i := 0
	for _, id := range ids {
		for ; i < len(list) && list[i].ID < id; i++ {
			out = append(out, list[i])
		}
		if i < len(list) && list[i].ID == id {
			i++
		}
		if t.writes[id] != nil {
			out = append(out, t.resource(id))
		}
	}
	return append(out, list[i:]...)
}

// lines writes a transaction as it is kept, and as it could have come.
func (t *transaction) lines(b []byte, revision int64, hash Hash) []byte {
	var gone []string
	var put []*ir.Resource
	for _, id := range t.sorted() {
		if body := t.writes[id]; body == nil {
			gone = append(gone, id)
		} else {
			put = append(put, &ir.Resource{ID: id, Body: body})
		}
	}
	return appendCommit(appendPut(appendDelete(b, gone), put), revision, hash)
}
