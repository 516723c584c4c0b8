package server

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"weir"
	"weir/internal/certs"
	"weir/internal/store"
)

// orders is what is known of the orders of certificates, whichever server makes them.
type orders struct {
	mu      sync.RWMutex
	records map[string]*certs.Record
}

func (o *orders) of(name string) *certs.Record {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if r := o.records[name]; r != nil {
		return r
	}
	return &certs.Record{}
}

// followOrders keeps up with what is written down of orders, until ctx ends. Keys are not kept here.
func (s *server) followOrders(ctx context.Context) {
	s.store.FollowPlatforms(ctx, certs.RecordPrefix, func(changed []store.PlatformValue) {
		o := s.fleet.orders
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, v := range changed {
			name := strings.TrimPrefix(v.Name, certs.RecordPrefix)
			r := &certs.Record{}
			if v.Generation == 0 || json.Unmarshal(v.Value.Bytes(), r) != nil {
				delete(o.records, name)
				continue
			}
			r.Key = ""
			o.records[name] = r
		}
	})
}

// issued says how it stands with a certificate that is ordered.
func (v *view) issued() (weir.Condition, bool) {
	spec, ok := v.object.Spec.(*weir.Certificate)
	if !ok || spec.Issuer == "" {
		return weir.Condition{}, false
	}
	issuer := weir.Find[weir.Issuer](v.store.View(), "Issuer", spec.Issuer)
	return certs.Progress(v.ref.Name, spec, issuer, v.orders.of(v.ref.Name), v.clock()), true
}
