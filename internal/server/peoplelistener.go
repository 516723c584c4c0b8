package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"weir/internal/api"
	"weir/internal/console"
	"weir/internal/secrets"
)

// People is a listener for people's browsers, with a certificate that these believe.
type People struct {
	// Listen is its address, host:port; port 0 picks one.
	Listen string
	// Certificate and Key are files in PEM, which are read again when they change; the key's only its owner may read.
	Certificate, Key string
}

// pairFile gives the certificate in two files, as they are.
type pairFile struct {
	certificate, key string
	log              *slog.Logger

	mu   sync.Mutex
	cert *tls.Certificate
	// of is what the files looked like when they were read last, whatever became of that.
	of [2]looks
}

// looks tell one state of a file from another.
type looks struct {
	size int64
	at   time.Time
	info os.FileInfo
}

func look(path string) (looks, error) {
	info, err := os.Stat(path)
	if err != nil {
		return looks{}, err
	}
	return looks{info.Size(), info.ModTime(), info}, nil
}

func (l looks) same(o looks) bool {
	return l.info != nil && o.info != nil && l.size == o.size && l.at.Equal(o.at) && os.SameFile(l.info, o.info)
}

// open reads the files for the first time.
func (p *pairFile) open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.read()
}

// get gives the certificate for a handshake. Files that changed and hold no pair leave the one of before.
func (p *pairFile) get() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, path := range []string{p.certificate, p.key} {
		if now, err := look(path); err == nil && !now.same(p.of[i]) {
			if err := p.read(); err != nil {
				p.log.Error("the certificate for people could not be read again; the one of before stays", "error", err)
			} else {
				p.log.Info("the certificate for people was read again", "expires", p.cert.Leaf.NotAfter)
			}
			break
		}
	}
	return p.cert, nil
}

func (p *pairFile) read() error {
	for i, path := range []string{p.certificate, p.key} {
		seen, err := look(path)
		if err != nil {
			return fmt.Errorf("read the certificate for people: %w", err)
		}
		p.of[i] = seen
	}
	chain, err := os.ReadFile(p.certificate)
	if err != nil {
		return fmt.Errorf("read the certificate for people: %w", err)
	}
	key, err := secrets.ReadPrivateFile(p.key)
	if err != nil {
		return fmt.Errorf("read the key of the certificate for people: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return fmt.Errorf("read the certificate for people: %s and %s are no pair: %w", p.certificate, p.key, err)
	}
	p.cert = &pair
	return nil
}

// peopleServer serves console and API, and nothing of the agents', on a listener of its own.
func (s *server) peopleServer(ctx context.Context) (serve func() error, url string, err error) {
	if s.opts.People == nil {
		return nil, "", nil
	}
	pair := &pairFile{certificate: s.opts.People.Certificate, key: s.opts.People.Key, log: s.opts.Log}
	if err := pair.open(); err != nil {
		return nil, "", err
	}
	listener, err := net.Listen("tcp", s.opts.People.Listen)
	if err != nil {
		return nil, "", fmt.Errorf("listen for people: %w", err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get() },
	}
	srv := &http.Server{
		Handler: console.Front(s.handler), TLSConfig: config, ReadHeaderTimeout: headerPatience,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	api.Limits(srv)
	s.closers = append(s.closers, func() error {
		stop, done := context.WithTimeout(context.Background(), stopPatience)
		defer done()
		if srv.Shutdown(stop) != nil {
			return srv.Close()
		}
		return nil
	})
	return func() error {
		if err := srv.Serve(tls.NewListener(listener, config)); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, "https://" + listener.Addr().String(), nil
}
