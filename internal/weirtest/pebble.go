package weirtest

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// PebbleOptions say how a Pebble behaves; the zero value is one that does what it is asked.
type PebbleOptions struct {
	// RejectNonces and ReuseAuthorizations are percent: how many good nonces are said to be bad, and how often a name that
	// was proven need not be proven again.
	RejectNonces, ReuseAuthorizations int
	// External are the keys, in base64url, of the external accounts without which nobody may register.
	External map[string]string
	// Blocked are domains for which nothing is issued.
	Blocked []string
	// Resolver is the name server that it asks, by TCP, as host:port; empty is one of its own.
	Resolver string
	// HTTPPort is where http-01 challenges are looked at, on the address that DNS gives for a name; 0 is that of a server
	// of Pebble's own, which answers what PresentHTTP has put there.
	HTTPPort int
	// Profiles are the profiles offered, and for how long their certificates are good.
	Profiles map[string]time.Duration
	// RetryAfter is what it asks to wait for, in seconds, while it is at something; 0 asks for nothing.
	RetryAfter int
	// Wrap stands before all that is asked of it, for faults.
	Wrap func(http.Handler) http.Handler
}

// Pebble is a certificate authority that speaks ACME, in this process, at an address of the test's own. Every name leads
// to that address until Resolve says otherwise.
type Pebble struct {
	// Directory is its URL, Cert the certificate that its TLS is believed by, as PEM.
	Directory, Cert string
	t               testing.TB
	addr            string
	names           pebbleNames
	store           *db.MemoryStore
	root            *x509.Certificate
	handler         http.Handler
	cert            tls.Certificate

	turn   sync.Mutex // of who asks Pebble something
	mu     sync.Mutex
	counts map[string]int
	srv    *http.Server
}

// pebbleEnv holds the environment, by which alone Pebble is told some of its options, while one is made.
var pebbleEnv sync.Mutex

// NewPebble starts one that ends with the test.
func NewPebble(t testing.TB, opts PebbleOptions) *Pebble {
	t.Helper()
	host := Addr(t)
	p := &Pebble{t: t, addr: net.JoinHostPort(host, "14000"), store: db.NewMemoryStore(), counts: map[string]int{}}
	p.Directory = "https://" + p.addr + wfe.DirectoryPath
	p.certificate(netip.MustParseAddr(host))
	ownHTTP := ""
	if opts.HTTPPort == 0 {
		opts.HTTPPort, ownHTTP = 5002, net.JoinHostPort(host, "5002")
	}
	p.names.usual = host
	ownNames := net.JoinHostPort(host, "8053")
	p.names.serve(t, ownNames, ownHTTP)
	opts.Resolver = cmp.Or(opts.Resolver, ownNames)
	for id, key := range opts.External {
		if err := p.store.AddExternalAccountKeyByID(id, key); err != nil {
			t.Fatalf("give Pebble the key of an external account: %v", err)
		}
	}
	for _, name := range opts.Blocked {
		if err := p.store.AddBlockedDomain(name); err != nil {
			t.Fatalf("block a domain in Pebble: %v", err)
		}
	}
	p.make(opts)
	p.Start()
	t.Cleanup(p.Stop)
	return p
}

// make makes the authority.
func (p *Pebble) make(opts PebbleOptions) {
	p.t.Helper()
	quiet := log.New(io.Discard, "", 0)
	profiles := map[string]ca.Profile{"default": {Description: "the usual one"}}
	for name, life := range opts.Profiles {
		profiles[name] = ca.Profile{Description: name, ValidityPeriod: uint64(life / time.Second)}
	}
	pebbleEnv.Lock()
	defer pebbleEnv.Unlock()
	for name, value := range map[string]string{
		"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": strconv.Itoa(opts.RejectNonces),
		"PEBBLE_AUTHZREUSE": strconv.Itoa(opts.ReuseAuthorizations),
	} {
		if err := os.Setenv(name, value); err != nil {
			p.t.Fatalf("set Pebble's options: %v", err)
		}
		defer func() { _ = os.Unsetenv(name) }()
	}
	authority := ca.New(quiet, p.store, "", "ecdsa", 0, 1, profiles)
	validator := va.New(quiet, opts.HTTPPort, 5001, true, opts.Resolver, p.store)
	front := wfe.New(quiet, p.store, validator, authority, []string{"pebble.example"}, true, len(opts.External) > 0, opts.RetryAfter, opts.RetryAfter)
	p.root = authority.GetRootCert(0).Cert
	p.handler = p.counting(front.Handler())
	if opts.Wrap != nil {
		p.handler = opts.Wrap(p.handler)
	}
}

// counting counts what was carried out, by the first part of its path.
func (p *Pebble) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, ok := strings.CutPrefix(r.URL.Path, PebbleReadOrder+"/"); ok {
			p.settle(id)
		}
		noted := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		p.oneByOne(next, noted, r)
		what := path.Dir(r.URL.Path + "/")
		if dir := path.Dir(what); dir != "/" {
			what = dir
		}
		if noted.status < 300 {
			p.mu.Lock()
			p.counts[what]++
			p.mu.Unlock()
		}
	})
}

// oneByOne answers: in Pebble what reads an authorization and what orders take the same locks, one in another order than
// the other.
func (p *Pebble) oneByOne(next http.Handler, w http.ResponseWriter, r *http.Request) {
	p.turn.Lock()
	defer p.turn.Unlock()
	next.ServeHTTP(w, r)
}

// settle waits until an order that was finalized has its certificate, some milliseconds. Pebble locks an order twice to
// show it, and for ever when the certificate comes in between.
func (p *Pebble) settle(id string) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for range 5000 {
		o := p.store.GetOrderByID(id)
		if o == nil {
			return
		}
		o.RLock()
		making := o.BeganProcessing && o.CertificateObject == nil
		o.RUnlock()
		if !making {
			return
		}
		<-ticker.C
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Done gives how often it has carried one of these out.
func (p *Pebble) Done(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[what]
}

// What Done counts. To give an authorization up is counted with reading them.
const (
	PebbleNewAccount        = "/sign-me-up" // finding one, too
	PebbleNewOrder          = "/order-plz"
	PebbleReadOrder         = "/my-order"
	PebbleReadAuthorization = "/authZ"
	PebbleAnswer            = "/chalZ"
	PebbleFinalize          = "/finalize-order"
	PebbleReadCertificate   = "/certZ"
)

// Start lets it be reached again after Stop, with all that it knew.
func (p *Pebble) Start() {
	p.t.Helper()
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatalf("start Pebble: %v", err)
	}
	srv := &http.Server{
		Handler: p.handler, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{p.cert}, MinVersion: tls.VersionTLS12},
	}
	p.mu.Lock()
	p.srv = srv
	p.mu.Unlock()
	go func() { _ = srv.ServeTLS(listener, "", "") }() // ends with Stop
}

// Stop closes all its connections; then connecting is refused.
func (p *Pebble) Stop() {
	p.mu.Lock()
	srv := p.srv
	p.srv = nil
	p.mu.Unlock()
	if srv != nil {
		_ = srv.Close()
	}
}

// HTTP gives a client that believes its TLS, with connections of its own.
func (p *Pebble) HTTP() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(p.Cert))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16,
	}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// Roots gives what its certificates are believed by.
func (p *Pebble) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.root)
	return pool
}

// PebbleOrder is an order as Pebble has it.
type PebbleOrder struct {
	Names    []string
	Status   string
	Replaces string
	// Authorizations are their states, sorted.
	Authorizations []string
}

// Orders gives all orders of an account, by the account's URL, in the order in which they were made.
func (p *Pebble) Orders(account string) []PebbleOrder {
	p.turn.Lock()
	defer p.turn.Unlock()
	var out []PebbleOrder
	for _, o := range p.store.GetOrdersByAccountID(path.Base(account)) {
		o.RLock()
		order := PebbleOrder{Status: o.Status, Replaces: o.Replaces}
		for _, id := range o.Identifiers {
			order.Names = append(order.Names, id.Value)
		}
		for _, a := range o.AuthorizationObjects {
			a.RLock()
			order.Authorizations = append(order.Authorizations, a.Status)
			a.RUnlock()
		}
		o.RUnlock()
		slices.Sort(order.Authorizations)
		out = append(out, order)
	}
	return out
}

// Revoked says whether a certificate was taken back.
func (p *Pebble) Revoked(cert *x509.Certificate) bool {
	return p.store.GetRevokedCertificateBySerial(cert.SerialNumber) != nil
}

// SetRenewalInfo lets it answer with this text when it is asked when to renew a certificate.
func (p *Pebble) SetRenewalInfo(cert *x509.Certificate, text string) {
	p.t.Helper()
	if err := p.store.SetARIResponse(cert.SerialNumber, text); err != nil {
		p.t.Fatalf("set what Pebble says of renewal: %v", err)
	}
}

// Deactivate ends an account, by its URL.
func (p *Pebble) Deactivate(account string) {
	p.t.Helper()
	a := p.store.GetAccountByID(path.Base(account))
	if a == nil {
		p.t.Fatalf("Pebble has no account %s", account)
	}
	changed := *a
	changed.Status = "deactivated"
	if err := p.store.UpdateAccountByID(changed.ID, &changed); err != nil {
		p.t.Fatalf("deactivate an account: %v", err)
	}
}

// Contacts gives those of an account, by its URL.
func (p *Pebble) Contacts(account string) []string {
	if a := p.store.GetAccountByID(path.Base(account)); a != nil {
		return a.Contact
	}
	return nil
}

// certificate makes the one of its own TLS.
func (p *Pebble) certificate(host netip.Addr) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: fmt.Sprintf("Pebble at %s", host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{host.AsSlice()},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	p.Cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
