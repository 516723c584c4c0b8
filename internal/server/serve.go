package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"weir/internal/api"
	"weir/internal/console"
	"weir/internal/link"
	"weir/internal/secrets"
)

// The bounds of the HTTP servers.
const (
	headerPatience = 10 * time.Second
	stopPatience   = 5 * time.Second
)

// serve listens and serves until ctx ends.
func (s *server) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listener, err := net.Listen("tcp", s.opts.Listen)
	if err != nil {
		return fmt.Errorf("listen for API and agents: %w", err)
	}
	keeper := s.certificate(listener.Addr())
	if err := keeper.renew(); err != nil {
		return errors.Join(err, listener.Close())
	}
	main := s.mainServer(ctx, keeper)
	plain, plainURL, err := s.plainServer()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	people, peopleURL, err := s.peopleServer(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	failed := make(chan error, 5) // room for each of those that follow, so that none waits for a reader that has left
	go func() {
		if err := s.lost(ctx); err != nil {
			failed <- err
		}
	}()
	go func() { failed <- main.Serve(tls.NewListener(listener, main.TLSConfig)) }()
	go func() { failed <- s.fleet.run(ctx) }()
	led := s.lead(ctx)
	s.follow(ctx, listener.Addr(), keeper)
	if plain != nil {
		go func() { failed <- plain() }()
	}
	if people != nil {
		go func() { failed <- people() }()
	}
	s.awaitAnnounced(ctx)
	if s.opts.Ready != nil {
		s.opts.Ready(Listening{URL: "https://" + listener.Addr().String(), People: peopleURL, Metrics: plainURL, CAHash: s.ca.CAHash(), TokenFile: s.tokenFileIfThere()})
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	s.hub.Close()
	cancel()
	led.Wait()
	stop, done := context.WithTimeout(context.Background(), stopPatience)
	defer done()
	if serr := main.Shutdown(stop); serr != nil {
		err = errors.Join(err, main.Close())
	}
	return err
}

// mainServer serves agents, the other servers of the store, programs and people at one address.
func (s *server) mainServer(ctx context.Context, keeper *keeper) *http.Server {
	config := secrets.ServerTLS(secrets.ServerConfig{
		Certificate: keeper.get, Trust: s.ca.Trust, Now: s.opts.Clock,
	})
	config.NextProtos = []string{"h2", "http/1.1"}
	mux := http.NewServeMux()
	mux.Handle(link.Prefix, s.hub.Handler())
	mux.HandleFunc("POST "+joinPath, s.letIn)
	mux.Handle("/", console.Front(s.handler))
	main := &http.Server{
		Handler: mux, TLSConfig: config, HTTP2: link.HTTP2(), ReadHeaderTimeout: headerPatience,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	api.Limits(main)
	return main
}

// plainServer serves what watches the server, on a listener of its own.
func (s *server) plainServer() (func() error, string, error) {
	if s.opts.MetricsListen == "" {
		return nil, "", nil
	}
	listener, err := net.Listen("tcp", s.opts.MetricsListen)
	if err != nil {
		return nil, "", fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", metricsPage(s.metrics, s.opts.Log))
	health := api.Health(func(context.Context) error { return s.fleet.ready() })
	mux.Handle("/healthz", health)
	mux.Handle("/readyz", health)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: headerPatience, ReadTimeout: headerPatience}
	s.closers = append(s.closers, srv.Close)
	return func() error {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, "http://" + listener.Addr().String(), nil
}
