package registrar

import (
	"encoding/json"
	"time"

	"weir"
)

// The bounds of how often what one server says may write its Server: a few times at once, then now and then.
const (
	writeBurst = 20
	writeEvery = 5 * time.Second
)

// allowance is what one may do still.
type allowance struct {
	used float64
	at   time.Time
}

// take does once, or says how long to wait for it.
func (a *allowance) take(now time.Time) (wait time.Duration, ok bool) {
	if past := now.Sub(a.at); past > 0 {
		a.used, a.at = max(0, a.used-past.Seconds()/writeEvery.Seconds()), now
	}
	if a.used+1 > writeBurst {
		return time.Duration((a.used + 1 - writeBurst) * float64(writeEvery)), false
	}
	a.used++
	return 0, true
}

// mayWrite says why a server may not write its Server now, or nil: it has done so too often. That it takes no more traffic
// is always heard; what it would have to be in between is not.
func (r *Registrar) mayWrite(name string, present, object *weir.Object, now time.Time) error {
	if same(present, object) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	is := object.Spec.(*weir.Server).Registered()
	leaves := (is == weir.RegistrationWithdrawn || is == weir.RegistrationDraining) && present != nil && present.Spec.(*weir.Server).Registered() != is
	if wait, ok := r.of(name).writes.take(now); !ok && !leaves {
		return weir.Errorf(TooOften, "server %s changes what it says too often; its registration is kept alive, and what it says now is taken in %s", name, wait.Round(time.Second))
	}
	return nil
}

// TooOften is the kind of error for what is allowed, and not so often.
const TooOften weir.ErrorKind = "too-many-requests"

// same says that two Servers wish the same; the first may be nil.
func same(a, b *weir.Object) bool {
	if a == nil {
		return false
	}
	x, errX := json.Marshal(struct {
		M weir.Metadata
		S weir.Spec
	}{a.Metadata, a.Spec})
	y, errY := json.Marshal(struct {
		M weir.Metadata
		S weir.Spec
	}{b.Metadata, b.Spec})
	return errX == nil && errY == nil && string(x) == string(y)
}
