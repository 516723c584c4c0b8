package server

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"os"
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

// certificate keeps the server's certificate fresh: it is asked at every handshake.
func (s *server) certificate(at net.Addr) *keeper {
	names := append([]string{"localhost"}, s.opts.Names...)
	addresses := append([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, s.opts.Addresses...)
	if a, err := netip.ParseAddrPort(at.String()); err == nil && !a.Addr().IsUnspecified() {
		addresses = append(addresses, a.Addr().Unmap())
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	return &keeper{issue: func() (tls.Certificate, error) { return s.ca.ServerCertificate(s.path(serverFile), names, addresses) }, clock: s.opts.Clock, log: s.opts.Log}
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
