package store

import (
	"sync"

	"weir"
)

// unplaced are the secrets, sealed, that large changes of this server have brought and that are not in their own places
// yet: each load balancer asks for all of them at once, and there they lie in one value. The zero value is ready.
type unplaced struct {
	mu     sync.Mutex
	values map[int64]map[string][]byte // by the change's revision, then by object
	size   int
}

// maxUnplaced bounds what is kept, in bytes of sealed values; beyond it secrets are read from where they lie.
const maxUnplaced = 8 << 20

func (u *unplaced) add(revision int64, sealed map[string][]byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	size := 0
	for _, value := range sealed {
		size += len(value)
	}
	if size == 0 || u.size+size > maxUnplaced {
		return
	}
	if u.values == nil {
		u.values = map[int64]map[string][]byte{}
	}
	u.values[revision] = sealed
	u.size += size
}

// get is nil for a secret that is not kept here.
func (u *unplaced) get(ref weir.Ref, generation int64) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.values[generation][ref.String()]
}

// placed forgets the secrets of changes up to a revision: they are where they belong.
func (u *unplaced) placed(revision int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for r, sealed := range u.values {
		if r > revision {
			continue
		}
		delete(u.values, r)
		for _, value := range sealed {
			u.size -= len(value)
		}
	}
}
