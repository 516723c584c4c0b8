package secrets

import (
	"crypto/tls"
	"sync"
	"time"
)

// judgedFor is how long a verdict about a connection's peer is taken again, at the most.
const judgedFor = 10 * time.Minute

// Judged is what the peer of one connection was judged to be, so that many requests on it cost one look at signatures. The
// zero value knows nothing yet.
type Judged struct {
	mu    sync.Mutex
	trust *Trust
	from  time.Time
	peer  Peer
}

// Peer is t.Peer of a connection that is always the same. It is judged anew when t is another one, as after a change of CA,
// when the certificate has run out, and after ten minutes.
func (j *Judged) Peer(t *Trust, cs *tls.ConnectionState, now time.Time) Peer {
	j.mu.Lock()
	defer j.mu.Unlock()
	past := now.Sub(j.from)
	if j.trust != t || past < 0 || past >= judgedFor || j.peer.Certificate != nil && now.After(j.peer.Certificate.NotAfter) {
		j.trust, j.from, j.peer = t, now, t.Peer(cs, now)
	}
	return j.peer
}
