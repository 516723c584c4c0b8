package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/store"
)

// The values of the platform that all servers of a store share.
const (
	sharedCA     = "ca"
	sharedNextCA = "ca-next"
	sharedEpoch  = "epoch"
)

// shared gives a value of the platform; the first server of a store makes it.
func (s *server) shared(ctx context.Context, name string, make func() ([]byte, error)) (secrets.Secret, error) {
	for {
		value, _, err := s.store.Platform(ctx, name)
		if weir.KindOf(err) != weir.NotFound {
			return value, err
		}
		fresh, err := make()
		if err != nil {
			return secrets.Secret{}, err
		}
		// Of two servers that start at once one is first, and the other takes that one's.
		if err := s.store.SetPlatform(ctx, name, fresh, 0); err != nil && weir.KindOf(err) != weir.Stale {
			return secrets.Secret{}, err
		}
	}
}

func (s *server) openCA(ctx context.Context) error {
	text, err := s.shared(ctx, sharedCA, func() ([]byte, error) { return secrets.NewCA(s.opts.Clock()) })
	switch {
	case errors.Is(err, secrets.ErrKeyUnknown):
		return fmt.Errorf("open CA: %w; servers of one store have the same sealing key: start this one with --sealing-key-file and the file of the others", err)
	case err != nil:
		return fmt.Errorf("open CA: %w", err)
	}
	if s.ca, err = secrets.ParseCA(text.Bytes(), s.opts.Clock); err != nil {
		return err
	}
	return s.writeBundle()
}

// writeBundle keeps what clients believe beside the store, for those who log in on this machine.
func (s *server) writeBundle() error {
	return secrets.WriteFile(s.path(bundleFile), s.ca.Trust().PEM(), 0o644)
}

// followCA takes over what another server made of the CA, until ctx ends.
func (s *server) followCA(ctx context.Context, changed func()) {
	s.store.FollowPlatform(ctx, sharedCA, func(text secrets.Secret, generation int64) {
		before := string(s.ca.Trust().PEM())
		if err := s.ca.Adopt(text.Bytes()); err != nil {
			s.opts.Log.Error("take over the CA", "generation", generation, "error", err)
			return
		}
		if string(s.ca.Trust().PEM()) == before {
			return
		}
		s.opts.Log.Info("the CA has changed", "ca", s.ca.CAHash(), "believed", len(s.ca.Trust().Certificates()))
		if err := s.writeBundle(); err != nil {
			s.opts.Log.Error("write the CA's certificates", "error", err)
		}
		changed()
	})
}

// epoch names the store's history; it is made with the store.
func (s *server) epoch(ctx context.Context) (string, error) {
	text, err := s.shared(ctx, sharedEpoch, func() ([]byte, error) { return []byte(rand.Text()), nil })
	if err != nil {
		return "", fmt.Errorf("read epoch: %w", err)
	}
	return text.Text(), nil
}

// leadSweep is the work of the sweeper, which one server does.
const leadSweep = "sweep"

// announce tells the other servers where this one is and which CAs it believes and shows, until ctx ends.
func (s *server) announce(ctx context.Context, url string, shown func() *tls.Certificate, changed <-chan struct{}) {
	name := hostname(url)
	started := s.opts.Clock().UTC().Truncate(time.Second)
	s.store.Announce(ctx, func() store.Member {
		trust := s.ca.Trust()
		m := store.Member{Name: name, URL: url, Version: s.opts.Version, Started: started, Believes: trust.Hashes(), StoreMember: s.store.OwnMember(), SealingKeys: s.store.SealingKeys()}
		if cert := shown(); cert != nil {
			m.Issuer = trust.IssuerHash(cert.Leaf)
		}
		return m
	}, changed)
}

// hostname is what people call this machine, or else what is given.
func hostname(otherwise string) string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return otherwise
}

// announcedWithin is how long a start waits until the other servers, and those who list them, know of this one.
const announcedWithin = 3 * time.Second

func (s *server) awaitAnnounced(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, announcedWithin)
	defer cancel()
	s.store.FollowMembers(ctx, func(members []store.Member) {
		if slices.ContainsFunc(members, func(m store.Member) bool { return m.ID == s.store.ID() }) {
			cancel()
		}
	})
}

// advertised is where the other servers reach this one.
func (s *server) advertised(at net.Addr) string {
	if s.opts.Advertise != "" {
		return s.opts.Advertise
	}
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return "https://" + at.String()
	}
	if a, err := netip.ParseAddr(host); err == nil && a.IsUnspecified() {
		if host, err = os.Hostname(); err != nil || host == "" {
			host = "localhost"
		}
	}
	return "https://" + net.JoinHostPort(host, port)
}

// hearOthers listens to each other server of the store as long as that runs.
func (s *server) hearOthers(ctx context.Context, own string) {
	listening := map[string]context.CancelFunc{}
	s.store.FollowMembers(ctx, func(members []store.Member) {
		runs := map[string]bool{}
		for _, m := range members {
			runs[m.ID] = true
			// At this one's own URL it is an earlier run of it, whose lease has not run out.
			if m.ID == s.store.ID() || m.URL == own || listening[m.ID] != nil {
				continue
			}
			one, cancel := context.WithCancel(ctx)
			listening[m.ID] = cancel
			s.opts.Log.Info("another server of the store runs", "name", m.Name, "url", m.URL, "version", m.Version)
			go s.hub.Listen(one, m.URL, s.showItself)
		}
		for id, cancel := range listening {
			if !runs[id] {
				cancel()
				delete(listening, id)
			}
		}
	})
	for _, cancel := range listening {
		cancel()
	}
}

// showItself is how this server reaches the others.
func (s *server) showItself() (secrets.ClientConfig, error) {
	pair, err := s.ca.IssueControlPlane(s.store.ID())
	return secrets.ClientConfig{Trust: s.ca.Trust(), Certificate: func() *tls.Certificate { return &pair }, Now: s.opts.Clock}, err
}
