package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// controlPlane is a real store behind the real API over TLS; only planner and status stand in.
type controlPlane struct {
	store          *store.Store
	status         *standIn
	url, ca, token string
	// sealingKey is the file with the store's.
	sealingKey string
	// certificate is a manifest of one, made for this test.
	certificate string
}

func startControlPlane(t testing.TB) *controlPlane {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := weirtest.TempDir(t)
	authority, err := secrets.NewCA(theClock())
	must(err)
	ca, err := secrets.ParseCA(authority, theClock)
	must(err)
	ring, err := secrets.OpenOrCreateKeyring(dir + "/key")
	must(err)
	st, err := store.Open(context.Background(), store.Options{Dir: dir + "/store", Keyring: ring, Clock: theClock, Check: weir.Check})
	must(err)
	t.Cleanup(func() { must(st.Close()) })
	p := &controlPlane{store: st, ca: ca.CAHash(), status: newStandIn(st)}
	p.sealingKey = dir + "/key"
	p.token, err = p.tokenFor("admin")
	must(err)
	p.put(t, &weir.Object{Kind: "Grant", Metadata: weir.Metadata{Name: "admin"}, Spec: &weir.Grant{Subject: "admin", Role: "*", Right: weir.Admin}})

	addr := weirtest.Addr(t)
	pair, err := ca.IssueServer(nil, []netip.Addr{netip.MustParseAddr(addr)})
	must(err)
	listener, err := net.Listen("tcp", addr+":7443")
	must(err)
	handler := api.New(api.Options{Store: st, Planner: standInPlanner{}, Status: p.status, Restore: p.status, Waves: p.status, TicketKeys: p.status, Sources: p.status, Logs: p.status, Checks: p.status, Work: p.status, Tries: p.status, Spool: dir, Clock: theClock, Version: "test", CAHash: ca.CAHash})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", theNow.Format(http.TimeFormat))
		handler.ServeHTTP(w, r)
	}), ErrorLog: log.New(io.Discard, "", 0)}
	ctx, cancel := context.WithCancel(context.Background())
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	server.TLSConfig = secrets.ServerTLS(secrets.ServerConfig{Certificate: func() *tls.Certificate { return &pair }, Trust: ca.Trust, Now: theClock})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ServeTLS(listener, "", "")
	}()
	t.Cleanup(func() {
		cancel()
		_ = server.Close()
		<-ended
	})
	p.url = "https://" + listener.Addr().String()
	p.certificate = certificateManifest(t)
	return p
}

func (p *controlPlane) put(t testing.TB, o *weir.Object) {
	t.Helper()
	if _, err := p.store.Apply(context.Background(), store.Request{Author: "test", Writes: []weir.Write{{Put: o}}}); err != nil {
		t.Fatal(err)
	}
}

// tokenFor makes a token of a subject, as the first start of a server does.
func (p *controlPlane) tokenFor(subject string) (string, error) {
	text, hash := secrets.NewToken("api")
	o := &weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: subject + "-token"}, Spec: &weir.Token{Subject: subject, Hash: hash}}
	_, err := p.store.Apply(context.Background(), store.Request{Author: "test", Writes: []weir.Write{{Put: o}}})
	return text, err
}

// certificateManifest makes a certificate for 45 days as an object.
func certificateManifest(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.com"}, DNSNames: []string{"www.example.com", "*.shop.example.com"},
		NotBefore: theNow.Add(-time.Hour), NotAfter: theNow.Add(45 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	indented := func(kind string, der []byte) string {
		text := strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
		return "    " + strings.ReplaceAll(text, "\n", "\n    ")
	}
	return "kind: Certificate\nmetadata: {name: www, role: web}\nspec:\n  chain: |\n" + indented("CERTIFICATE", der) + "\n  key: |\n" + indented("PRIVATE KEY", raw) + "\n"
}
