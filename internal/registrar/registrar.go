// Package registrar lets servers register themselves: who may, what becomes of what they say, and of those who fall
// silent.
package registrar

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/discovery"
	"weir/internal/secrets"
	"weir/internal/store"
)

// Options are what a registrar stands on. Store and CA are required.
type Options struct {
	Store *store.Store
	CA    *secrets.CA
	// Lease is how long a server may be silent, in whole seconds; 30 s when 0. It is to be heard three times as often.
	Lease time.Duration
	// Damping says how much coming and going is borne; the usual when its zero value.
	Damping discovery.Damping
	Clock   func() time.Time
	Log     *slog.Logger
}

func (o *Options) fill() {
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	if o.Damping == (discovery.Damping{}) {
		o.Damping = discovery.UsualDamping()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Registrar is the control plane's part in registrations. Many goroutines may use it.
type Registrar struct {
	opts   Options
	leases *store.Registrations

	mu    sync.Mutex
	heard map[string]*heard // by the servers' names
}

// New makes a registrar. Follow must run for it to know who is registered.
func New(o Options) *Registrar {
	o.fill()
	return &Registrar{opts: o, leases: o.Store.Registrations(o.Lease), heard: map[string]*heard{}}
}

// Follow keeps up who is registered until ctx ends.
func (r *Registrar) Follow(ctx context.Context) { r.leases.Follow(ctx) }

// Registered is how many servers hold a lease now.
func (r *Registrar) Registered() int { return r.leases.Len() }

// Unaware are the servers that hold a lease and have not told that they believe a CA, sorted, and how many hold one.
func (r *Registrar) Unaware(ca string) (names []string, of int) {
	all := r.leases.All()
	for _, lease := range all {
		if h, err := holderOf(lease); err != nil || !strings.Contains(h.Believes, ca) {
			names = append(names, lease.Name)
		}
	}
	slices.Sort(names)
	return names, len(all)
}

// Caller is a server that asks something, proven by its certificate.
type Caller struct {
	secrets.Registrant
	// Key names the key of its certificate.
	Key string
	// From is the address that its connection comes from.
	From netip.Addr
	// Believes are the hashes of the CAs that it says it believes, with commas.
	Believes string
}

// Peer says who showed a certificate on a connection, of which judged remembers it; nil stands for one without TLS.
func (r *Registrar) Peer(cs *tls.ConnectionState, judged *secrets.Judged) secrets.Peer {
	return judged.Peer(r.opts.CA.Trust(), cs, r.opts.Clock())
}

// author is who a change is by that a server's word makes.
func author(name string) string { return weir.ByRegistration + name }

// token gives the token that let a server in, or says that it does so no more.
func (r *Registrar) token(view *weir.Set, who secrets.Registrant) (*weir.Object, error) {
	o := view.Get(weir.Ref{Kind: "Token", Name: who.Token})
	if o == nil || o.Spec.(*weir.Token).Registration == nil || secrets.TokenID(o.Spec.(*weir.Token).Hash) != who.TokenID {
		return nil, weir.Errorf(weir.Unauthenticated, "token %s, which let server %s in, is not there any more; register with another one", who.Token, who.Name)
	}
	return o, r.lasts(o)
}

// lasts says why a token is over, or nil.
func (r *Registrar) lasts(o *weir.Object) error {
	if at := o.Spec.(*weir.Token).ExpiresAt; !at.IsZero() && !r.opts.Clock().Before(at) {
		return weir.Errorf(weir.Unauthenticated, "registration token %s ended at %s: make a new one with weir token registration", o.Metadata.Name, at.UTC().Format(time.RFC3339))
	}
	return nil
}
