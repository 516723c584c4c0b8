package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"weir"
)

// Cluster names an etcd outside of this process, which other servers may share: 3.5 or newer.
type Cluster struct {
	// Endpoints are the members' client URLs; at least one, and better all.
	Endpoints []string
	// TLS is for https endpoints; nil believes the system's authorities.
	TLS *tls.Config
	// Username and Password are of etcd's own users; empty for none.
	Username, Password string
}

// reachPatience is how long the members of a cluster are waited for when a store is opened.
const reachPatience = 20 * time.Second

// connect makes the client of an outside cluster and asks it for a sign of life that needs a quorum.
func connect(ctx context.Context, c Cluster, opts Options) (*clientv3.Client, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("name at least one endpoint")
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.Endpoints, TLS: c.TLS, Username: c.Username, Password: c.Password,
		DialTimeout: 5 * time.Second, DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
		// A client that was cut off for long must not hammer a cluster that has just come back.
		BackoffWaitBetween: 50 * time.Millisecond,
		Logger:             zap.New(&logCore{log: opts.Logger}),
	})
	if err != nil {
		return nil, err
	}
	if err := reach(ctx, client, opts.Logger); err != nil {
		return nil, errors.Join(err, ignoreCancelled(client.Close()))
	}
	return client, nil
}

// reach waits until a quorum answers, and logs that it does.
func reach(ctx context.Context, client *clientv3.Client, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	for {
		try, done := context.WithTimeout(ctx, 5*time.Second)
		_, err := client.Get(try, keyHead, clientv3.WithCountOnly())
		done()
		switch {
		case err == nil:
			return nil
		case refused(err) || notAllowed(err):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("etcd did not answer within %s; check that a majority of its members runs, the endpoints and the certificates: %w", reachPatience, err)
		}
		log.Warn("store: etcd does not answer yet; waiting for it", "endpoints", strings.Join(client.Endpoints(), ","), "error", err)
		wait := time.NewTimer(200 * time.Millisecond)
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
		wait.Stop()
	}
}

// Healthy is nil when the store can be written to: it asks etcd for something that needs a quorum.
func (s *Store) Healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if _, err := s.client.Get(ctx, keyHead, clientv3.WithCountOnly()); err != nil {
		return &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer; nothing can be changed, all else goes on", Cause: err}
	}
	return nil
}
