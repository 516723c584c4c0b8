package kubernetes

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// TestTokens is of a real connection with TLS, a token that changes and a client certificate.
func TestTokens(t *testing.T) {
	t.Parallel()
	const first, second = "first-token-of-a-service-account", `second"token\of-a-service-account`
	var token atomic.Value
	token.Store(first)
	asked := make(chan int, 100)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Header.Get("Authorization") != "Bearer "+token.Load().(string) || len(r.TLS.PeerCertificates) != 1:
			weirtest.RefuseKubernetes(w, http.StatusUnauthorized, "Unauthorized", "no "+r.Header.Get("Authorization"))
			asked <- http.StatusUnauthorized
		case r.URL.Query().Has("watch"):
			_, _ = io.WriteString(w, `{"type":"`+r.Header.Get("Authorization")[7:30]+`"}`)
		default:
			_, _ = io.WriteString(w, `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"7"},"items":[]}`)
			asked <- http.StatusOK
		}
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(first+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	s, err := New(Config{
		Server: srv.URL, TokenFile: file, TLS: &tls.Config{RootCAs: roots, Certificates: srv.TLS.Certificates},
		Dial: (&net.Dialer{}).DialContext,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sink, done := &memory{t: t, parts: map[string][]discovery.Found{}}, make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx, sink)
	}()
	await := func(status int) {
		for got := range asked {
			if got == status {
				return
			}
		}
	}
	await(http.StatusOK)
	token.Store(second)
	await(http.StatusUnauthorized)
	if err := os.WriteFile(file, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	await(http.StatusOK)
	await(http.StatusOK) // after the watch that echoed it
	cancel()
	<-done
	text := sink.failed().Error()
	for _, secret := range []string{first[:16], second[:16], `second\"token`} {
		if strings.Contains(text, secret) {
			t.Errorf("shows the token: %s", text)
		}
	}
	for _, want := range []string{"401 Unauthorized", file, "[redacted]"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nlacks %s", text, want)
		}
	}
}

// TestStrangersCertificate is of a server that another authority vouches for.
func TestStrangersCertificate(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	defer srv.Close()
	s, err := New(Config{Server: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{Source: s}
	_, _, err = w.list(t.Context(), 1)
	if err == nil || !strings.Contains(err.Error(), "unknown authority; give the authority of the cluster") || strings.Contains(err.Error(), "limit=") {
		t.Errorf("list: %v", err)
	}
}
