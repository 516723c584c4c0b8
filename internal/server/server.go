// Package server runs the control plane: the store, the API, the loop that compiles wishes for the fleet, and
// the link to the agents.
package server

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/api"
	"weir/internal/dns01"
	"weir/internal/link"
	"weir/internal/registrar"
	"weir/internal/secrets"
	"weir/internal/signin"
	"weir/internal/sources"
	"weir/internal/store"
)

// The files in the data folder.
const (
	bundleFile  = "ca.crt"
	storeDir    = "etcd"
	keyFile     = KeyFile
	tokenFile   = "admin.token"
	serverFile  = "server.pem"
	auditFile   = "audit.jsonl"
	firstAuthor = "weir"
)

// Run serves until ctx ends, and then lets requests in flight finish for a while.
func Run(ctx context.Context, o Options) error {
	o.fill()
	return (&server{opts: o}).run(ctx)
}

func (s *server) run(ctx context.Context) error {
	defer s.close()
	for _, step := range []func(context.Context) error{s.openKeys, s.openPrograms, s.openReach, s.openStore, s.openCA, s.firstStart, s.readRestored, s.openBackups, s.build} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return s.serve(ctx)
}

type server struct {
	opts    Options
	ca      *secrets.CA
	keyring *secrets.Keyring
	// programs answer dns-01 challenges; nil when there is no folder of them.
	programs *dns01.Hooks
	reach    sources.Reach
	audit    *secrets.Audit
	store    *store.Store
	hub      *link.Hub
	fleet    *fleet
	annals   *annals
	handler  *api.Handler
	checks   *checkLog
	metrics  *prometheus.Registry
	// registrar takes the registrations of servers.
	registrar *registrar.Registrar
	// signIn makes the sessions of browsers.
	signIn *signin.Desk
	// restored is the restore that the store comes from, nil without one.
	restored atomic.Pointer[api.Restored]
	backups  *backups // nil when none are to be made

	// closers are run last in, first out.
	closers []func() error
}

func (s *server) path(name string) string { return filepath.Join(s.opts.Dir, name) }

func (s *server) tokenFileIfThere() string {
	if _, err := os.Stat(s.path(tokenFile)); err != nil {
		return ""
	}
	return s.path(tokenFile)
}

func (s *server) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		if err := s.closers[i](); err != nil {
			s.opts.Log.Error("stop", "error", err)
		}
	}
}
