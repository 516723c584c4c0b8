package server

import (
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"weir/internal/secrets"
)

// keeper gives the server's certificate and renews it when it is time.
type keeper struct {
	issue func() (tls.Certificate, error)
	clock func() time.Time
	log   *slog.Logger

	mu   sync.Mutex
	cert *tls.Certificate
	next time.Time // no other try before
}

func (k *keeper) get() *tls.Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock()
	if k.cert.Leaf != nil && secrets.NeedsRenewal(k.cert.Leaf, now) && now.After(k.next) {
		k.next = now.Add(time.Minute)
		if err := k.renewLocked(); err != nil {
			k.log.Error("renew the server's certificate", "error", err)
		}
	}
	return k.cert
}

func (k *keeper) renew() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.renewLocked()
}

func (k *keeper) renewLocked() error {
	cert, err := k.issue()
	if err != nil {
		return err
	}
	k.cert = &cert
	return nil
}
